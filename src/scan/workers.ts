/**
 * The worker threads of mapParallel, which are kept from one call to the next.
 *
 * A worker that waits for a call is not referenced, so that it does not keep the process alive. One
 * that failed, or was in a call that failed or was aborted, is ended: its code may be anywhere.
 */
import { MessageChannel, type MessagePort, Worker, type WorkerOptions } from 'node:worker_threads';
import { invalidArgument, MemmapError } from '../core/errors.ts';
import { type FromWorker, putTogether, type ToWorker } from './worker-message.ts';

export interface Slice {
  readonly index: number;
  readonly offset: number;
  readonly length: number;
}

interface Job {
  readonly url: string;
  readonly argument: unknown;
  readonly fd: number;
  readonly path: string | null;
  readonly slices: readonly Slice[];
  readonly signal: AbortSignal | undefined;
}

const entry = new URL('./parallel-worker.js', import.meta.url);

/** A worker, and a line to it that the code of its user's does not know. */
interface Member {
  readonly worker: Worker;
  readonly port: MessagePort;
}

const idle: Member[] = [];

/**
 * Workers inherit the options of the process, but for one that Node.js refuses with a file:
 * --input-type, which comes with --eval. A list of our own must not hold options of V8.
 */
function workerOptions(): WorkerOptions {
  const isEval = process.execArgv.some((option) => option.startsWith('--input-type'));
  return isEval ? { execArgv: [] } : {};
}

function startWorker(): Member {
  const { port1: port, port2 } = new MessageChannel();
  const options = { ...workerOptions(), workerData: port2, transferList: [port2] };
  const worker = new Worker(entry, options);
  worker.unref();
  const member = { worker, port };
  const forget = () => {
    port.close();
    const at = idle.indexOf(member);
    if (at >= 0) idle.splice(at, 1);
  };
  worker.once('exit', forget);
  worker.once('error', forget);
  return member;
}

/** Takes workers that wait, and starts those that are missing. */
export function takeWorkers(count: number): Team {
  const members = idle.splice(0, count);
  while (members.length < count) members.push(startWorker());
  return new Team(members);
}

function failure(slice: Slice, job: Job, state: string, cause: unknown): MemmapError {
  const { index, offset, length } = slice;
  const what = `slice ${index} of ${job.path ?? 'the file'} (${length} bytes from ${offset})`;
  return new MemmapError('ERR_MEMMAP_WORKER', `Cannot map ${what}: ${state}`, {
    path: job.path ?? undefined,
    cause,
  });
}

/** The workers of one call. */
class Team {
  readonly #members: Member[];

  constructor(members: Member[]) {
    this.#members = members;
  }

  /** Hands the slices out one by one; the results come in the order of the slices. */
  async run(job: Job, onSlice: (slice: Slice) => void): Promise<unknown[]> {
    try {
      const results = await this.#share(job, onSlice);
      for (const { worker } of this.#members) worker.unref();
      idle.push(...this.#members);
      return results;
    } catch (error) {
      await Promise.all(this.#members.map(({ worker }) => worker.terminate()));
      throw error;
    }
  }

  #share(job: Job, onSlice: (slice: Slice) => void): Promise<unknown[]> {
    const { slices, signal, url, argument, fd, path } = job;
    const results = new Array<unknown>(slices.length);
    let next = 0;
    let left = slices.length;
    const endings: (() => void)[] = [];
    const shared = new Promise<unknown[]>((resolve, reject) => {
      const abort = () => reject(signal?.reason);
      signal?.throwIfAborted();
      signal?.addEventListener('abort', abort, { once: true });
      endings.push(() => signal?.removeEventListener('abort', abort));
      const serve = ({ worker, port }: Member) => {
        let slice: Slice | undefined;
        const give = () => {
          slice = slices[next++];
          if (!slice) return;
          port.postMessage({ kind: 'slice', ...slice } satisfies ToWorker);
        };
        const take = (message: FromWorker) => {
          const given = slices[message.index] as Slice;
          if (message.kind === 'failure') {
            const { state, error, details } = message;
            const cause = details ? putTogether(details) : error;
            reject(details?.name === 'FaultError' ? cause : failure(given, job, state, cause));
            return;
          }
          results[message.index] = message.result;
          try {
            onSlice(given);
          } catch (error) {
            reject(error);
          }
          if (--left === 0) resolve(results);
          else give();
        };
        const lost = (state: string, cause?: unknown) =>
          reject(failure(slice ?? (slices[0] as Slice), job, state, cause));
        const died = (error: unknown) => lost(`its worker died: ${messageOf(error)}`, error);
        const ended = (code: number) => lost(`its worker ended with exit code ${code}`);
        const torn = (error: unknown) =>
          lost(`the answer cannot be read: ${messageOf(error)}`, error);
        worker.on('error', died).on('exit', ended);
        port.on('message', take).on('messageerror', torn);
        port.unref(); // the worker itself keeps the process alive during the call
        endings.push(() => {
          worker.off('error', died).off('exit', ended);
          port.off('message', take).off('messageerror', torn);
        });
        worker.ref();
        try {
          port.postMessage({ kind: 'begin', url, argument, fd, path } satisfies ToWorker);
        } catch (cause) {
          const error = invalidArgument('options.argument', 'what can be cloned', argument);
          error.cause = cause;
          throw error;
        }
        give();
      };
      for (const member of this.#members) serve(member);
    });
    return shared.finally(() => {
      for (const end of endings) end();
    });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
