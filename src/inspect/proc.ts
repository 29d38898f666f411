/**
 * Reading /proc: texts of processes and of the system, and the errors of those that cannot be read.
 */
import { readFileSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import { native } from '../binding/native.ts';
import { invalidArgument, MemmapError, outOfRange } from '../core/errors.ts';
import { type Unknown, unknown } from '../core/unknown.ts';
import { integer } from '../core/validate.ts';
import { takeReading } from './ahead.ts';
import { lookAtNames } from './names.ts';
import type { NamedMaps } from './parse/maps.ts';

/** A process: its number, or the one that asks. */
export type ProcessId = number | 'self';

/** The largest process number there can be (include/linux/threads.h, PID_MAX_LIMIT). */
const maximumPid = 4 * 1024 * 1024;

export function checkProcess(value: unknown): asserts value is ProcessId {
  if (value !== 'self') integer('pid', value, 1, maximumPid);
}

export function checkAddress(value: unknown): asserts value is bigint {
  if (typeof value !== 'bigint') throw invalidArgument('address', 'of type bigint', value);
  if (value < 0n || value >> 64n !== 0n) throw outOfRange('address', '>= 0n && < 2n ** 64n', value);
}

/** The code of an error of the system, of Node's or of the engine's. */
export function codeOf(error: unknown): string {
  const { code, errno } = error as NodeJS.ErrnoException;
  return code ?? (errno ? getSystemErrorName(errno) : 'EIO');
}

/** A text of /proc or /sys, whole; `null`: it is not there, or may not be read. */
export function tryRead(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

/** A number that is the first word of a text; `null`: unknown. */
export function tryReadNumber(path: string): number | null {
  const word = tryRead(path)?.trim().split(/\s+/)[0];
  return word === undefined || !/^-?\d+$/.test(word) ? null : Number(word);
}

/** What a process that may not be looked at needs. */
const accessHint =
  'run as the user of that process, or with CAP_SYS_PTRACE; a process with capabilities that the ' +
  'reader lacks stays closed even to root';

/** The library's error for a file of a process. */
export function refusedProcess(error: unknown, pid: ProcessId, file: string): Error {
  const code = codeOf(error);
  const { errno, syscall } = error as NodeJS.ErrnoException;
  const action = `read /proc/${pid}/${file}`;
  const isGone = code === 'ESRCH' || (code === 'ENOENT' && tryRead(`/proc/${pid}/stat`) === null);
  if (isGone) {
    const hint = 'it has ended, or is in another pid namespace';
    return new MemmapError('ESRCH', `Cannot ${action}: there is no process ${pid} (ESRCH)`, {
      hint,
    });
  }
  if (code === 'ENOENT') {
    const message = `Cannot ${action}: this kernel was built without it`;
    return new MemmapError('ERR_MEMMAP_UNSUPPORTED', message);
  }
  const state = code === 'EACCES' || code === 'EPERM' ? 'permission denied' : 'the system refuses';
  return new MemmapError(code, `Cannot ${action}: ${state} (${code})`, {
    errno,
    syscall,
    hint: accessHint,
  });
}

/**
 * A text of a process.
 * @throws MemmapError ESRCH: no such process; EACCES; ERR_MEMMAP_UNSUPPORTED: no such file.
 */
export function readProcess(pid: ProcessId, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch (error) {
    throw refusedProcess(error, pid, file);
  }
}

/**
 * The mappings of a process, from its maps or smaps.
 * @throws MemmapError as {@link readProcess}.
 */
export function readMappings(pid: ProcessId, file: 'maps' | 'smaps'): NamedMaps {
  try {
    return lookAtNames(pid, native.readMaps(`/proc/${pid}/${file}`));
  } catch (error) {
    throw refusedProcess(error, pid, file);
  }
}

/** The same of what each mapping has in memory, on another thread. */
export async function readSmapsLater(pid: ProcessId): Promise<NamedMaps> {
  try {
    return lookAtNames(pid, await takeReading(pid));
  } catch (error) {
    throw refusedProcess(error, pid, 'smaps');
  }
}

/** Where it is one fact among several: what is missing is noted. */
function orNote<T>(pid: ProcessId, file: string, gaps: Unknown[], read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    const { code, hint } = error as MemmapError;
    if (code === 'ESRCH') throw error;
    gaps.push(unknown(file, `/proc/${pid}/${file} may not be read (${code})`, hint ?? null));
    return null;
  }
}

/** A text of a process as one fact among several. */
export function readProcessOr(pid: ProcessId, file: string, gaps: Unknown[]): string | null {
  return orNote(pid, file, gaps, () => readProcess(pid, file));
}

/** What its mappings have in memory, as one fact among several. */
export function readMappingsOr(pid: ProcessId, gaps: Unknown[]): NamedMaps | null {
  return orNote(pid, 'smaps', gaps, () => readMappings(pid, 'smaps'));
}
