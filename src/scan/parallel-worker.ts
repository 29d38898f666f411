/**
 * The worker thread of mapParallel: maps one slice after the other and calls the user's function.
 */
import { MessagePort, workerData } from 'node:worker_threads';
import type { FaultError } from '../core/errors.ts';
import { takeFaults } from '../mapping/fault.ts';
import { map } from '../mapping/map.ts';
import { checkSound } from './scan.ts';
import { type FromWorker, type ToWorker, takeApart } from './worker-message.ts';

type Begin = Extract<ToWorker, { kind: 'begin' }>;
type Slice = Extract<ToWorker, { kind: 'slice' }>;
type SliceFunction = (slice: Buffer, info: object) => unknown;

const port: unknown = workerData;
if (!(port instanceof MessagePort))
  throw new Error('Cannot run parallel-worker.js: it is for the workers of mapParallel()');

let call: Begin | undefined;

/** What went wrong with a slice, for the message. */
class SliceFailure {
  readonly state: string;
  readonly error: unknown;
  constructor(state: string, error: unknown) {
    this.state = `${state}: ${error instanceof Error ? error.message : String(error)}`;
    this.error = error;
  }
}

async function attempt<T>(state: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new SliceFailure(state, error);
  }
}

async function loadFunction({ url }: Begin): Promise<SliceFunction> {
  const { default: exported } = await import(url);
  if (typeof exported === 'function') return exported;
  const found = exported === undefined ? 'none' : `one of type ${typeof exported}`;
  throw new TypeError(`${url} must have a function as its default export; it has ${found}`);
}

/** Calls the function on a slice and posts what it gives while the slice is still mapped. */
async function doSlice(begin: Begin, { index, offset, length }: Slice): Promise<void> {
  const run = await attempt('the module cannot be used', () => loadFunction(begin));
  const mapping = await attempt('it cannot be mapped', () => map(begin.fd, { offset, length }));
  let fault: FaultError | undefined;
  mapping.on('fault', (error) => {
    fault ??= error;
  });
  try {
    const info = { index, offset, argument: begin.argument };
    const result = await attempt('the function threw', () => run(mapping.bytes, info));
    if (fault) throw fault;
    checkSound(mapping, length);
    await attempt('the result cannot be cloned', () => send({ kind: 'result', index, result }));
  } catch (error) {
    // What the function makes of bytes that are not those of the file does not matter.
    throw fault ?? takeFaults(mapping) ?? error;
  } finally {
    mapping.close();
  }
}

function send(message: FromWorker): void {
  (port as MessagePort).postMessage(message);
}

/** Not every error can be cloned; its text always can. */
function sendFailure(index: number, failure: unknown): void {
  const { state, error } =
    failure instanceof SliceFailure ? failure : new SliceFailure('it failed', failure);
  const details = takeApart(error);
  const message = { kind: 'failure', index, state, error, details } as const;
  if (details) send({ ...message, error: undefined });
  else {
    try {
      send(message);
    } catch {
      send({ ...message, error: new Error(String(error)) });
    }
  }
}

port.on('message', (message: ToWorker) => {
  if (message.kind === 'begin') call = message;
  else doSlice(call as Begin, message).catch((error) => sendFailure(message.index, error));
});
