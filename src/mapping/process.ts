/**
 * Locks on all memory of the process.
 */
import { native } from '../binding/native.ts';
import { invalidArgument } from '../core/errors.ts';
import { boolean, object } from '../core/validate.ts';
import { attempt } from './refusal.ts';

export interface LockAllOptions {
  /** What is mapped now. Default true. */
  current?: boolean | undefined;
  /** What will be mapped from now on. Default false. */
  future?: boolean | undefined;
  /** Pages are locked when they come in, not brought in now. Default false. */
  onFault?: boolean | undefined;
}

/**
 * Locks what the process has mapped in memory: programs, libraries and other files, malloc's heap,
 * and every Mapping; with `future` each Mapping that is made from now on. Left out are the engine's
 * own heap and the stacks: V8 aborts the process when it cannot give locked pages back, so that
 * mlockall(2) is no way here. What must not reach the swap belongs into a Mapping.
 * @throws MemmapError EPERM or ENOMEM, with the limit that was met.
 */
export function lockAll(options: LockAllOptions = {}): void {
  object('options', options);
  const { current = true, future = false, onFault = false } = options;
  boolean('options.current', current);
  boolean('options.future', future);
  boolean('options.onFault', onFault);
  if (!current && !future) throw invalidArgument('options', 'for current or future pages', options);
  attempt(
    () => native.lockAll(current, future, onFault),
    () => ({ action: 'lock the memory of the process' }),
  );
}

/** Takes back every lock of the process, those of single mappings as well (munlockall). */
export function unlockAll(): void {
  attempt(
    () => native.unlockAll(),
    () => ({ action: 'unlock the memory of the process' }),
  );
}

/** Bytes of a page of this system. */
export const pageSize: number = native.pageBytes;
