/**
 * Promises around work that runs on the engine's own threads.
 */
import { getSystemErrorName } from 'node:util';
import { type NativeFailure, native, type Task } from '../binding/native.ts';
import type { Span } from '../core/range.ts';
import { abortSignal, callback, object } from '../core/validate.ts';

/** Options of everything that takes long. */
export interface WorkOptions {
  /** Ends the work between two pieces; the promise rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Told from time to time how many bytes of how many are done. */
  onProgress?: ((progress: { done: number; total: number }) => void) | undefined;
}

/** Reads the options once and checks them. */
export function readWorkOptions(options: WorkOptions | undefined): WorkOptions {
  if (options === undefined) return {};
  object('options', options);
  const { signal, onProgress } = options;
  if (signal !== undefined) abortSignal('options.signal', signal);
  if (onProgress !== undefined) callback('options.onProgress', onProgress);
  return { signal, onProgress };
}

/** What one signal ends; listened for together: more than ten listeners look like a leak to Node. */
interface Together {
  readonly cancels: Set<() => void>;
  readonly listener: () => void;
}

const bySignal = new WeakMap<AbortSignal, Together>();

function listenTo(signal: AbortSignal): Together {
  const cancels = new Set<() => void>();
  const listener = () => {
    for (const cancel of [...cancels]) cancel();
  };
  signal.addEventListener('abort', listener);
  return { cancels, listener };
}

/**
 * Calls `cancel` when the signal aborts.
 * @returns What forgets it again.
 */
export function onAbort(signal: AbortSignal, cancel: () => void): () => void {
  const together = bySignal.get(signal) ?? listenTo(signal);
  bySignal.set(signal, together);
  together.cancels.add(cancel);
  return () => {
    together.cancels.delete(cancel);
    if (together.cancels.size > 0 || bySignal.get(signal) !== together) return;
    bySignal.delete(signal);
    signal.removeEventListener('abort', together.listener);
  };
}

/** What a function of the user's threw. */
export interface Thrown {
  readonly error: unknown;
}

/** Tells of progress; called by the engine, where an exception would be lost. */
export function tellProgress(
  onProgress: WorkOptions['onProgress'],
  progress: { done: number; total: number },
): Thrown | undefined {
  try {
    onProgress?.(progress);
    return undefined;
  } catch (error) {
    return { error };
  }
}

/**
 * Whether work ended well or by being cancelled. What is aborted before the promise settles rejects
 * with the reason, also when the work was done by then: whoever aborts need not know.
 */
export function isNoFailure(error: NativeFailure | undefined): boolean {
  return !error || getSystemErrorName(error.errno) === 'ECANCELED';
}

/** Starts work on a mapping; resolves when it is done, rejects with what `onProgress` threw. */
export function runWork(
  mapping: object,
  kind: number,
  span: Span,
  { signal, onProgress }: WorkOptions,
  invalidate = false,
): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    let task: Task;
    let thrown: Thrown | undefined;
    let forgetSignal: (() => void) | undefined;
    const answer = (error: NativeFailure | undefined, done: number, isDone: boolean) => {
      if (!isDone) {
        thrown ??= tellProgress(onProgress, { done, total: span.length });
        if (thrown) native.cancel(task);
        return;
      }
      forgetSignal?.();
      if (thrown) reject(thrown.error);
      else if (signal?.aborted && isNoFailure(error)) reject(signal.reason);
      else if (error) reject(error);
      else resolve();
    };
    const { offset, length } = span;
    const hasProgress = onProgress !== undefined;
    task = native.start(mapping, kind, offset, length, invalidate, hasProgress, answer);
    forgetSignal = signal && onAbort(signal, () => native.cancel(task));
  });
}
