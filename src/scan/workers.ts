/**
 * The worker threads of mapParallel, which are kept from one call to the next.
 *
 * A worker that waits for a call is not referenced, so that it does not keep the process alive; as
 * many wait as run at once. One that failed, or was in a call that failed or was aborted, is ended:
 * its code may be anywhere.
 */
import { availableParallelism } from 'node:os';
import { MessageChannel, type MessagePort, Worker, type WorkerOptions } from 'node:worker_threads';
import { invalidArgument, MemmapError } from '../core/errors.ts';
import { onAbort } from '../mapping/work.ts';
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
  /** It was in a call before, whose code may end it still. */
  isUsed: boolean;
}

const idle: Member[] = [];
/** Workers of all calls together; more calls wait. As many as one call may have. */
const most = 256;
let living = 0;
const waiting: (() => void)[] = [];

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
  living++;
  worker.unref();
  const member = { worker, port, isUsed: false };
  const forget = () => {
    port.close();
    const at = idle.indexOf(member);
    if (at >= 0) idle.splice(at, 1);
    return at >= 0;
  };
  worker.once('exit', () => {
    forget();
    living--;
    for (const wake of waiting.splice(0)) wake();
  });
  worker.once('error', (error) => {
    // Of what the code of a call that is over left running; nobody else would hear of it.
    if (forget()) process.emitWarning(`A worker of mapParallel() died later: ${messageOf(error)}`);
  });
  return member;
}

/** Starts those that are missing, as far as they can be had; at least one there must be. */
function startMissing(members: Member[], count: number): void {
  try {
    while (members.length < count) members.push(startWorker());
  } catch (cause) {
    if (members.length > 0) return;
    const message = `Cannot start a worker: ${messageOf(cause)}`;
    const hint = 'raise the limits of threads and memory, or ask for fewer workers';
    throw new MemmapError('ERR_MEMMAP_WORKER', message, { cause, hint });
  }
}

/** Takes workers that wait, and starts those that are missing. */
export async function takeWorkers(count: number, signal?: AbortSignal): Promise<Team> {
  while (living - idle.length + count > most) {
    let forget: (() => void) | undefined;
    await new Promise<void>((resolve) => {
      waiting.push(resolve);
      forget = signal && onAbort(signal, resolve);
    });
    forget?.();
    signal?.throwIfAborted();
  }
  const members = idle.splice(0, count);
  // Others that wait for a call make room.
  const surplus = living + count - members.length - most;
  for (const { worker } of idle.splice(0, Math.max(0, surplus))) worker.terminate();
  startMissing(members, count);
  return new Team(members);
}

/** Keeps workers for the next call, as many as run at once. */
function giveBack(members: readonly Member[]): void {
  for (const member of members) {
    member.isUsed = true;
    member.worker.unref();
    if (idle.length < availableParallelism()) idle.push(member);
    else member.worker.terminate();
  }
  for (const wake of waiting.splice(0)) wake();
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
      giveBack(this.#members);
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
      if (signal) endings.push(onAbort(signal, abort));
      const serve = (member: Member, first?: Slice) => {
        const { worker, port } = member;
        let slice: Slice | undefined;
        const give = (again?: Slice) => {
          slice = again ?? slices[next++];
          if (!slice) return;
          port.postMessage({ kind: 'slice', ...slice } satisfies ToWorker);
        };
        const take = (message: FromWorker) => {
          member.isUsed = false;
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
        /** What a call before has left ends a worker that has answered nothing in this one. */
        const replace = (): boolean => {
          const at = this.#members.indexOf(member);
          if (!member.isUsed || at < 0) return false;
          try {
            this.#members[at] = startWorker();
          } catch {
            return false;
          }
          serve(this.#members[at], slice);
          return true;
        };
        const died = (error: unknown) => {
          const state = messageOf(error);
          if (!replace()) lost(`its worker died: ${state}`, error);
          else process.emitWarning(`A worker of mapParallel() died later: ${state}`);
        };
        const ended = (code: number) => {
          if (this.#members.includes(member) && !replace()) {
            lost(`its worker ended with exit code ${code}`);
          }
        };
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
        give(first);
      };
      for (const member of [...this.#members]) serve(member);
    });
    return shared.finally(() => {
      for (const end of endings) end();
    });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
