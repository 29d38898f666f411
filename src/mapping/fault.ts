/**
 * Faults on their way to the user.
 *
 * Each is delivered once: thrown by the `guard` it happened in, else by the first of `check()` or a
 * method that makes a system call, else as the `'fault'` event on the next turn of the event loop,
 * which without a listener is an uncaught exception. What is still undelivered when the process
 * ends is printed, and the exit code is not 0.
 */
import { isMainThread } from 'node:worker_threads';
import { type FaultRecord, faultCodes, native } from '../binding/native.ts';
import { FaultError } from '../core/errors.ts';

/** What of a mapping is needed to tell about its faults. */
export interface FaultSource {
  readonly path: string | null;
  listenerCount(event: 'fault'): number;
  emit(event: 'fault', error: FaultError): boolean;
}

const accesses = ['unknown', 'read', 'write'] as const;

const states: Record<(typeof faultCodes)[number], { state: string; hint: string }> = {
  ERR_MEMMAP_TRUNCATED: {
    state: 'it lies behind the end, which was cut or has not grown there yet',
    hint: 'loads gave zeros and stores were thrown away; resize() the mapping to what there is',
  },
  ERR_MEMMAP_READ_ONLY: {
    state: 'the pages are read-only, and the store was thrown away',
    hint: "map with access 'write' or 'copy', or use withAccess('write', fn)",
  },
  ERR_MEMMAP_NO_ACCESS: {
    state: "the pages are protected 'none'; loads gave zeros and stores were thrown away",
    hint: "protect('read', range) or protect('write', range) before touching them",
  },
  ERR_MEMMAP_IO: {
    state: 'the system could not provide the page: the disk is full or failed',
    hint: 'free space or look at the kernel log; map with extend: true so that blocks exist before the store',
  },
  ERR_MEMMAP_CLOSED: {
    state: 'the mapping was closed, and the store was thrown away',
    hint: 'close() only after the last use of its buffers, in every worker',
  },
};

function describe(path: string | null, record: FaultRecord): FaultError {
  const [kind, count, , address, offset, thread, access] = record;
  const code = faultCodes[kind] as (typeof faultCodes)[number];
  const { state, hint } = states[code];
  const done = accesses[access] ?? 'unknown';
  const verb = done === 'unknown' ? 'access' : done;
  const what = path ?? 'memory';
  const message = `Cannot ${verb} byte ${offset} of ${what}: ${state}`;
  return new FaultError(code, message, {
    path: path ?? undefined,
    hint,
    offset,
    address,
    access: done,
    thread,
    count,
  });
}

/** The first fault, with the others in `others`. */
function join(path: string | null, records: FaultRecord[]): FaultError | undefined {
  records.sort((a, b) => a[2] - b[2]);
  const [first, ...others] = records.map((record) => describe(path, record));
  if (first && others.length > 0) Object.defineProperty(first, 'others', { value: others });
  return first;
}

/** Collects what waits for a mapping. */
export function takeFaults(source: FaultSource): FaultError | undefined {
  const error = join(source.path, native.collect(source));
  if (error) for (const see of witnesses.get(source) ?? []) see(error, true);
  return error;
}

/** Told of every fault of a mapping that is taken, and of those that are to be delivered by it. */
export type Witness = (error: FaultError, isTaken: boolean) => void;

const witnesses = new Map<FaultSource, Set<Witness>>();

/**
 * For work off the event loop that touches the mapping: until the returned function is called, its
 * faults go to the witness instead of the event.
 */
export function witnessFaults(source: FaultSource, witness: Witness): () => void {
  const present = witnesses.get(source) ?? new Set();
  witnesses.set(source, present.add(witness));
  return () => {
    present.delete(witness);
    if (present.size === 0) witnesses.delete(source);
  };
}

/** The error for bytes that are zeros because the file was cut inside their page. */
export function cutFault(source: FaultSource, fileBytes: number, address: bigint): FaultError {
  return describe(source.path, [0, 0, 0, address, fileBytes, process.pid, 1, 0]);
}

/** What mappings met that were collected before they were told: nobody can listen to them. */
function takeOrphans(): FaultError[] {
  const errors = native.orphans().map(([path, records]) => join(path, records));
  return errors.filter((error) => error !== undefined);
}

const nobody = { path: null, listenerCount: () => 0, emit: () => false };

/** Faults that were collected but wait for their turn; told at exit if it does not come. */
const waiting = new Set<FaultError>();

function deliver(source: FaultSource, error: FaultError): void {
  waiting.delete(error);
  if (source.listenerCount('fault') > 0) source.emit('fault', error);
  else throw error;
}

/** Hands a fault to who witnesses them, else to the event on the next turn of the event loop. */
export function deliverLater(source: FaultSource, error: FaultError): void {
  const seeing = witnesses.get(source);
  if (seeing) {
    for (const see of seeing) see(error, false);
    return;
  }
  waiting.add(error);
  // A throw here is an uncaught exception, as for an 'error' event that nobody listens to.
  process.nextTick(deliver, source, error);
}

function deliverAll(): void {
  for (const source of native.faulted(false) as FaultSource[]) {
    const error = takeFaults(source);
    if (error) deliverLater(source, error);
  }
  for (const error of takeOrphans()) deliverLater(nobody, error);
}

function tellAtExit(): void {
  const undelivered = [...waiting];
  for (const source of native.faulted(true) as FaultSource[]) {
    const error = takeFaults(source);
    if (error) undelivered.push(error);
  }
  // What workers have not told, too: Bun and Deno end them without a word.
  if (isMainThread) native.adopt();
  undelivered.push(...takeOrphans());
  for (const error of undelivered) {
    process.stderr.write(`memmap: undelivered fault: ${error.code}: ${error.message}\n`);
    for (const other of error.others) {
      process.stderr.write(`memmap: undelivered fault: ${other.code}: ${other.message}\n`);
    }
  }
  waiting.clear();
  if (undelivered.length > 0 && !process.exitCode) process.exitCode = 1;
}

/** Marks the listeners of all copies of this library that a process has loaded. */
const watcher = Symbol.for('memmap.exit');
Object.assign(tellAtExit, { [watcher]: true });

function lookLast(): void {
  process.off('exit', tellAtExit);
  process.on('exit', tellAtExit);
}

function watchExit(): void {
  process.on('exit', tellAtExit);
  // Listeners that come later may fault as well: look again after them, but not after those of
  // another copy, which would do the same for ever.
  process.on('newListener', (event, listener) => {
    if (event === 'exit' && !(watcher in listener)) process.nextTick(lookLast);
  });
}

if (isMainThread) watchExit(); // also for workers, where only they make mappings

let isWatching = false;
let isWarned = false;

/** Called when a mapping is made: the first time, listens for faults in this environment. */
export function watchFaults(): void {
  if (!isWatching) {
    isWatching = true;
    native.watch(deliverAll);
    if (!isMainThread) watchExit();
  }
  if (!isWarned && native.handlersLost()) {
    isWarned = true;
    process.emitWarning(
      'Another handler for SIGBUS or SIGSEGV was installed after memmap; unless it calls the one ' +
        'before it, a fault in a mapping will end the process',
      { code: 'MEMMAP_HANDLERS_REPLACED' },
    );
  }
}
