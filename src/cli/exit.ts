/**
 * Exit codes, the same for every command. Where several things were asked, the highest counts.
 */
import { constants } from 'node:os';

export const Exit = {
  ok: 0,
  /** An honest no: nothing matches, not everything left, a check failed. */
  no: 1,
  /** The command line, or what it names, is wrong. */
  trouble: 2,
  /** This user may not see or do it. */
  denied: 3,
  /** This kernel or file system cannot. */
  unsupported: 4,
  /** Of `watch` and `lock -- CMD`, which else give that of CMD: memmap itself failed. */
  toolFailed: 125,
  notExecutable: 126,
  notFound: 127,
} as const;

const denied = new Set(['EACCES', 'EPERM']);
const unsupported = new Set(['ERR_MEMMAP_UNSUPPORTED', 'ENOSYS', 'ENOTSUP']);

/** The exit code of an error by its code. */
export function exitCodeOf(code: string | null): number {
  if (code === null) return Exit.trouble;
  if (denied.has(code)) return Exit.denied;
  return unsupported.has(code) ? Exit.unsupported : Exit.trouble;
}

/** As shells tell it: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP. */
export function exitCodeOfSignal(name: NodeJS.Signals): number {
  return 128 + constants.signals[name];
}

/** Where the code of another command is passed on, a failure of memmap itself has one of its own. */
export function asTool(exitCode: number): number {
  return Math.max(exitCode, Exit.toolFailed);
}
