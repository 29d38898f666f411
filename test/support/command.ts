/**
 * The `memmap` command as a user runs it.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ChildOptions, type Ending, runProcess, scriptWords } from './child.ts';
import { problems, schemaOf } from './schema.ts';
import { pattern, temporaryDirectory, temporaryPath } from './temporary.ts';

const main = fileURLToPath(import.meta.resolve('#dist/cli/main.js'));

/** Without the user's taste. Removed, not empty: Node.js warns where both are there. */
const noTaste = { NO_COLOR: undefined, FORCE_COLOR: undefined };
const plainEnvironment = { ...noTaste, TERM: 'dumb' };

/** The words of the command line. */
export function commandLine(args: readonly string[]): string[] {
  return [...scriptWords, main, ...args];
}

export function memmap(args: readonly string[], options: ChildOptions = {}): Promise<Ending> {
  const command = [...(options.prefix ?? []), ...commandLine(args)];
  return runProcess(command, { ...options, env: { ...plainEnvironment, ...options.env } });
}

/** A document, checked against the schema that it names. */
export function checkDocument<T = Record<string, unknown>>(text: string): T {
  const document: unknown = JSON.parse(text);
  assert.deepEqual(problems(document, schemaOf(document)), []);
  return document as T;
}

/** Runs a command with --json; its document is held to its schema. */
export async function memmapJson<T = Record<string, unknown>>(
  args: readonly string[],
  options: ChildOptions = {},
): Promise<{ code: number | null; document: T; stderr: string }> {
  const { code, stdout, stderr } = await memmap([...args, '--json'], options);
  assert.notEqual(stdout, '', `no document; exit ${code}: ${stderr}`);
  return { code, document: checkDocument<T>(stdout), stderr };
}

/** Runs a command, sends it a signal when its output matches, and tells how it ended. */
export function interrupted(
  args: readonly string[],
  when: RegExp,
  signal: NodeJS.Signals = 'SIGINT',
): Promise<Ending> {
  const [file, ...rest] = commandLine(args) as [string, ...string[]];
  const env = { ...process.env, ...plainEnvironment };
  const child = spawn(file, rest, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr, isSent] = ['', '', false];
  const look = () => {
    if (isSent || !when.test(stdout + stderr)) return;
    isSent = true;
    process.kill(child.pid as number, signal); // after child.kill() Deno tells no code
  };
  return new Promise((resolve, reject) => {
    const watchdog = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`The command hangs: ${args.join(' ')}\n${stdout}\n${stderr}`));
    }, 60_000);
    child.stdout.on('data', (data) => {
      stdout += data;
      look();
    });
    child.stderr.on('data', (data) => {
      stderr += data;
      look();
    });
    child.on('close', (code, name) => {
      clearTimeout(watchdog);
      resolve({ code, signal: name, stdout, stderr });
    });
  });
}

/** Runs a command on a terminal of so many columns. */
export function onTerminal(
  args: readonly string[],
  { columns = 80, env = {} }: Pick<ChildOptions, 'env'> & { columns?: number } = {},
): Promise<Ending> {
  const words = commandLine(args).map((word) => `'${word.replaceAll("'", "'\\''")}'`);
  const line = `stty cols ${columns} rows 40; exec ${words.join(' ')}`;
  const given = { ...noTaste, TERM: 'xterm', ...env };
  return runProcess(['script', '-qec', line, '/dev/null'], { env: given });
}

/** Files are on a disk here: memory file systems never let pages go. */
export const lacksDisk =
  statfsSync(temporaryDirectory()).type === 0x01021994 && // TMPFS_MAGIC of linux/magic.h
  'temporary files are in memory (tmpfs)';

/** A file whose pages are on the disk as well, so that they may leave memory. */
export function writtenFile(byteLength: number): string {
  const path = publicPath();
  const fd = openSync(path, 'w', 0o644);
  writeSync(fd, pattern(byteLength));
  fsyncSync(fd);
  closeSync(fd);
  return path;
}

/** A path in a directory that anybody may enter. */
export function publicPath(name = 'file'): string {
  const directory = temporaryPath('public');
  mkdirSync(directory);
  chmodSync(directory, 0o755);
  chmodSync(dirname(directory), 0o755);
  return join(directory, name);
}
