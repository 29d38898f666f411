/**
 * All occurrences, one after the other.
 *
 * The range is scanned in segments, `threads` of them at a time and so many ahead of the caller;
 * each gives at most a batch of offsets, so that memory stays small however many there are. The
 * engine collects every occurrence; those that overlap an earlier one are left out here, where they
 * arrive in order.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { Scan } from '../binding/native.ts';
import type { Span } from '../core/range.ts';
import { boolean } from '../core/validate.ts';
import type { Mapping } from '../mapping/mapping.ts';
import { readWorkOptions } from '../mapping/work.ts';
import type { CountOptions, CountSyncOptions } from './count.ts';
import { type Pattern, readPattern } from './pattern.ts';
import {
  type Answer,
  checkMapping,
  type Request,
  readSpan,
  readThreads,
  scan,
  scanSync,
} from './scan.ts';

const segmentBytes = 64 * 2 ** 20;
const batch = 16_384;

interface Search {
  readonly span: Span;
  readonly request: Request;
  /** Bytes from an occurrence to the next one that counts. */
  readonly step: number;
}

function readSearch(mapping: Mapping, pattern: Pattern, options: CountSyncOptions): Search {
  checkMapping(mapping);
  const { overlapping = false } = options;
  boolean('options.overlapping', overlapping);
  const bytes = readPattern('pattern', pattern);
  const span = readSpan('search', mapping, options);
  const request = { kind: Scan.collect, pattern: bytes, numbers: batch };
  return { span, request, step: overlapping ? 1 : bytes.byteLength };
}

/** The part of the range that holds the occurrences which begin in [start, end). */
function reach(start: number, end: number, { span, request }: Search): Span {
  const rest = (request.pattern?.byteLength ?? 1) - 1;
  const limit = span.offset + span.length;
  return { offset: start, length: Math.min(end + rest, limit) - start };
}

/** The occurrences among `numbers` that count; they are in order. */
class Greedy {
  #next = 0;
  readonly #step: number;
  constructor(step: number) {
    this.#step = step;
  }
  *take(numbers: Float64Array): Generator<number, void, undefined> {
    for (const offset of numbers) {
      if (offset < this.#next) continue;
      this.#next = offset + this.#step;
      yield offset;
    }
  }
}

/**
 * Where each occurrence begins, in order, without overlaps unless `overlapping`. The scan runs off
 * the event loop and at most one batch ahead of each of its `threads`, of which at most four run
 * at a time; leaving the loop ends it.
 *
 * ```ts
 * for await (const offset of findAll(mapping, 'ERROR')) console.log(offset);
 * ```
 * @throws FaultError (rejects) when the file was cut, or a page failed, in the part that was
 * searched until then.
 */
export async function* findAll(
  mapping: Mapping,
  pattern: Pattern,
  options: CountOptions = {},
): AsyncGenerator<number, void, undefined> {
  const search = readSearch(mapping, pattern, options);
  const threads = readThreads(options);
  const { signal, onProgress } = readWorkOptions(options);
  const { offset: begin, length } = search.span;
  const end = begin + length;
  const leaving = new AbortController();
  const both = signal ? AbortSignal.any([signal, leaving.signal]) : leaving.signal;
  const start = (at: number, stop: number): Promise<Answer> => {
    const answer = scan(mapping, reach(at, stop, search), search.request, { signal: both });
    answer.catch(() => {}); // it is awaited in its turn, or never after an error before it
    return answer;
  };
  const greedy = new Greedy(search.step);
  const ahead: { stop: number; answer: Promise<Answer> }[] = [];
  try {
    signal?.throwIfAborted();
    for (let next = begin; next < end || ahead.length > 0; ) {
      while (next < end && ahead.length < threads) {
        const stop = Math.min(next + segmentBytes, end);
        ahead.push({ stop, answer: start(next, stop) });
        next = stop;
      }
      const first = ahead.shift();
      if (!first) break;
      let { numbers, value } = await first.answer;
      while (value < first.stop) {
        // Answers that are there already would keep timers and I/O waiting.
        await turn();
        const more = start(value, first.stop);
        // Not yield*, which awaits twice for each.
        for (const offset of greedy.take(numbers)) yield offset;
        ({ numbers, value } = await more);
      }
      for (const offset of greedy.take(numbers)) yield offset;
      await turn();
      onProgress?.({ done: first.stop - begin, total: length });
    }
    signal?.throwIfAborted();
  } finally {
    leaving.abort();
  }
}

/**
 * {@link findAll}, here and now: scans on the calling thread as far as the loop goes; more `threads`
 * would search what nobody may ask for.
 */
export function findAllSync(
  mapping: Mapping,
  pattern: Pattern,
  options: CountSyncOptions = {},
): Generator<number, void, undefined> {
  readThreads(options);
  return searchOn(mapping, readSearch(mapping, pattern, options));
}

function* searchOn(mapping: Mapping, search: Search): Generator<number, void, undefined> {
  const { offset, length } = search.span;
  const end = offset + length;
  const greedy = new Greedy(search.step);
  for (let at = offset; at < end; ) {
    const stop = Math.min(at + segmentBytes, end);
    const { numbers, value } = scanSync(mapping, reach(at, stop, search), search.request);
    yield* greedy.take(numbers);
    at = Math.min(value, stop);
  }
}
