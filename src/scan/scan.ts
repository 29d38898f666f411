/**
 * Scans: what find, count and the others ask of the engine, here or off the event loop, and how
 * its answer becomes a value or the error that spoils it.
 */
import { getSystemErrorName } from 'node:util';
import {
  type NativeFailure,
  native,
  Scan,
  ScanAnswer,
  type ScanArguments,
  ScanFault,
  type Task,
} from '../binding/native.ts';
import { closed, FaultError, invalidArgument, outOfRange } from '../core/errors.ts';
import type { Span } from '../core/range.ts';
import { integer, object } from '../core/validate.ts';
import { cutFault, deliverLater, takeFaults, witnessFaults } from '../mapping/fault.ts';
import { Mapping } from '../mapping/mapping.ts';
import { refused } from '../mapping/refusal.ts';
import {
  isNoFailure,
  onAbort,
  type Thrown,
  tellProgress,
  type WorkOptions,
} from '../mapping/work.ts';

/** Where a scan looks. */
export interface ScanRange {
  /** First byte of the mapping that is looked at. Default 0. */
  from?: number | undefined;
  /** The byte behind the last one. Default: the end of the mapping. */
  to?: number | undefined;
}

export interface ScanSyncOptions extends ScanRange {
  /** Threads that share the work, from 1 to 256. Default 1. */
  threads?: number | undefined;
}

export interface ScanOptions extends ScanSyncOptions, WorkOptions {}

/** A scan, checked. */
export interface Request {
  readonly kind: number;
  readonly pattern?: Uint8Array | undefined;
  readonly overlapping?: boolean;
  readonly threads?: number;
  /** The most numbers that are wanted. */
  readonly numbers?: number;
  readonly blockBytes?: number;
}

export interface Answer {
  /** -1: nowhere. */
  readonly value: number;
  readonly numbers: Float64Array;
}

export function checkMapping(mapping: unknown): asserts mapping is Mapping {
  if (!(mapping instanceof Mapping)) {
    throw invalidArgument('mapping', 'an instance of Mapping', mapping);
  }
}

/** Completes {from, to} to a span inside the mapping; throws the faults that waited. */
export function readSpan(action: string, mapping: Mapping, options: ScanRange): Span {
  object('options', options);
  const { from = 0, to } = options;
  integer('options.from', from);
  if (to !== undefined) integer('options.to', to);
  if (mapping.closed) throw closed(action, mapping.path);
  mapping.check();
  const end = to ?? mapping.byteLength;
  if (end > mapping.byteLength) {
    throw outOfRange('options.to', `>= 0 && <= ${mapping.byteLength}`, end);
  }
  if (from > end) throw outOfRange('options.from', `>= 0 && <= ${end}`, from);
  return { offset: from, length: end - from };
}

export function readThreads(options: ScanSyncOptions): number {
  const { threads = 1 } = options;
  integer('options.threads', threads, 1, 256);
  return threads;
}

function nativeArguments(mapping: Mapping, span: Span, request: Request): ScanArguments {
  const { kind, pattern, overlapping = false, threads = 1 } = request;
  const { numbers = 0, blockBytes = 0 } = request;
  const { offset, length } = span;
  return [mapping, kind, offset, length, pattern, overlapping, threads, numbers, blockBytes];
}

function readAnswer(answer: Float64Array): Answer {
  return {
    value: answer[ScanAnswer.value] as number,
    numbers: answer.subarray(ScanAnswer.numbers),
  };
}

/** The error that spoils an answer; `seen`: what others have collected of it meanwhile. */
function spoiling(
  mapping: Mapping,
  answer: Float64Array,
  seen: FaultError | undefined,
): FaultError | undefined {
  const kind = answer[ScanAnswer.fault];
  if (kind === ScanFault.sound) return undefined;
  // Once put back, pages can fault again before the scan sees that it is to end.
  const late = takeFaults(mapping);
  const fault = seen ?? late;
  const size = answer[ScanAnswer.objectBytes] as number;
  if (fault || kind === ScanFault.cut) {
    const behind = mapping.address + BigInt(Math.max(0, size - mapping.offset));
    return fault ?? cutFault(mapping, size, behind);
  }
  // Another thread with the same memory has collected it, or it went with the closed mapping.
  const path = mapping.path ?? undefined;
  const message = `Cannot scan ${path ?? 'memory'}: a fault was met meanwhile and told elsewhere`;
  const details = { path, offset: 0, address: 0n, access: 'unknown', thread: 0, count: 0 } as const;
  return new FaultError('ERR_MEMMAP_TRUNCATED', message, details);
}

/** Scans on this thread. */
export function scanSync(mapping: Mapping, span: Span, request: Request): Answer {
  let answer: Float64Array;
  try {
    answer = native.scan(...nativeArguments(mapping, span, request));
  } catch (error) {
    throw refusedScan(mapping, span, error as NativeFailure);
  }
  const fault = spoiling(mapping, answer, undefined);
  if (fault) throw fault;
  return readAnswer(answer);
}

/** Throws when what was just read up to `end` was not the file's: a fault, or a file that was cut. */
export function checkSound(mapping: Mapping, end: number): void {
  mapping.check();
  scanSync(mapping, { offset: end, length: 0 }, { kind: Scan.blocks, blockBytes: 1 });
}

/** Scans on threads of the engine's. */
export function scan(
  mapping: Mapping,
  span: Span,
  request: Request,
  { signal, onProgress }: WorkOptions = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    let task: Task;
    let seen: FaultError | undefined;
    let undelivered: FaultError | undefined;
    let thrown: Thrown | undefined;
    const forget = witnessFaults(mapping, (error, isTaken) => {
      seen ??= error;
      if (!isTaken) undelivered ??= error;
    });
    let forgetSignal: (() => void) | undefined;
    /** Rejects; a fault that the rejection does not tell goes to the event. */
    const fail = (error: unknown) => {
      if (undelivered && undelivered !== error) deliverLater(mapping, undelivered);
      reject(error);
    };
    const leave = () => {
      if (!mapping.closed) native.guard(mapping, false);
      forget();
    };
    const settle = (error: NativeFailure | undefined, answer: Float64Array) => {
      leave();
      forgetSignal?.();
      if (thrown) {
        fail(thrown.error);
        return;
      }
      if (signal?.aborted && isNoFailure(error)) {
        fail(signal.reason);
        return;
      }
      if (error) {
        fail(refused(error, contextOf(mapping)));
        return;
      }
      // Also what others took while it waited for a thread: it may have read what stood in for pages.
      const fault = spoiling(mapping, answer, seen) ?? seen;
      if (fault) fail(fault);
      else resolve(readAnswer(answer));
    };
    try {
      // Other threads with the same memory leave its faults to this one.
      native.guard(mapping, true);
      task = native.scanStart(
        ...nativeArguments(mapping, span, request),
        onProgress !== undefined,
        (error, done, isDone, answer) => {
          if (isDone) settle(error, answer);
          else thrown ??= tellProgress(onProgress, { done, total: span.length });
          if (thrown && !isDone) native.cancel(task);
        },
      );
    } catch (error) {
      leave();
      fail(refusedScan(mapping, span, error as NativeFailure));
      return;
    }
    forgetSignal = signal && onAbort(signal, () => native.cancel(task));
  });
}

/** The error of a scan that could not begin. */
function refusedScan(mapping: Mapping, { offset, length }: Span, error: NativeFailure): Error {
  if (error.errno === undefined || getSystemErrorName(error.errno) !== 'ERANGE') {
    return refused(error, contextOf(mapping)) as Error;
  }
  const hint = 'the mapping was made smaller while it was scanned';
  return outOfRange('options.to', `<= ${mapping.byteLength}`, offset + length, hint);
}

function contextOf(mapping: Mapping) {
  return { action: `scan ${mapping.path ?? 'memory'}`, path: mapping.path };
}
