/**
 * Processes as they are named on a command line: by number, or by the name of their command.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { readStat } from '../inspect/process.ts';
import { usage } from './errors.ts';
import { printable } from './format.ts';

function namesOf(pid: number): string[] {
  try {
    const { name } = readStat(pid);
    const [first = ''] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return [name, basename(first)];
  } catch {
    return []; // it has ended
  }
}

function processesNamed(name: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => pid !== process.pid && namesOf(pid).includes(name));
}

/**
 * The process that is meant.
 * @throws CommandError where there is none, or several; errors of numbers that no process has come
 * with the first look.
 */
export function processOf(text: string): number {
  if (/^\d+$/.test(text)) {
    const pid = Number(text);
    if (pid >= 1 && pid <= 4_194_304) return pid;
    throw usage(`${text} is not the number of a process`);
  }
  const found = processesNamed(text);
  const [only] = found;
  if (found.length === 1 && only !== undefined) return only;
  if (found.length === 0) {
    throw usage(`There is no process named ${printable(text)}`, 'ps -e shows what runs');
  }
  const shown = found.slice(0, 10).join(', ');
  const more = found.length > 10 ? `, and ${found.length - 10} more` : '';
  throw usage(`${found.length} processes are named ${printable(text)}`, `one of ${shown}${more}`);
}

/** `node(4711)` */
export function nameOf(pid: number): string {
  try {
    return `${printable(readStat(pid).name)}(${pid})`;
  } catch {
    return `(${pid})`;
  }
}
