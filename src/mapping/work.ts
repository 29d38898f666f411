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
    const abort = () => native.cancel(task);
    const answer = (error: NativeFailure | undefined, done: number, isDone: boolean) => {
      if (!isDone) {
        thrown ??= tellProgress(onProgress, { done, total: span.length });
        if (thrown) native.cancel(task);
        return;
      }
      signal?.removeEventListener('abort', abort);
      if (thrown) reject(thrown.error);
      else if (!error) resolve();
      else if (signal?.aborted && getSystemErrorName(error.errno) === 'ECANCELED') {
        reject(signal.reason);
      } else reject(error);
    };
    const { offset, length } = span;
    const hasProgress = onProgress !== undefined;
    task = native.start(mapping, kind, offset, length, invalidate, hasProgress, answer);
    signal?.addEventListener('abort', abort, { once: true });
  });
}
