/**
 * What is looked for in a file, and the places where it is.
 */
import type { Mapping } from '../index.ts';
import { count, find, findAllSync, findLastSync, findSync, matches } from '../scan/index.ts';
import { usage } from './errors.ts';

/** Bytes, or an expression for what ignores case. */
export type Needle =
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | {
      readonly kind: 'expression';
      readonly expression: RegExp;
      readonly encoding: 'utf8' | 'latin1';
    };

export interface NeedleOptions {
  hex?: boolean | undefined;
  ignoreCase?: boolean | undefined;
}

function parseHex(text: string): Buffer {
  const digits = text.replace(/^0x/i, '').replace(/[\s:]/g, '');
  if (!/^([0-9a-f]{2})+$/i.test(digits)) {
    throw usage(`'${text}' is not bytes in hexadecimal`, "as 'de ad be ef' or deadbeef");
  }
  return Buffer.from(digits, 'hex');
}

/** @throws CommandError where the pattern is none. */
export function needleOf(pattern: string, { hex, ignoreCase }: NeedleOptions): Needle {
  if (hex && ignoreCase) throw usage('--hex and --ignore-case do not go together');
  if (pattern === '') throw usage('the pattern is empty, and so everywhere');
  if (hex) return { kind: 'bytes', bytes: parseHex(pattern) };
  if (!ignoreCase) return { kind: 'bytes', bytes: Buffer.from(pattern) };
  const isAscii = /^[ -~\t]*$/.test(pattern);
  const source = pattern.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  // Bytes of any encoding have the letters of ASCII; others have a case only in a known one.
  return isAscii
    ? { kind: 'expression', expression: new RegExp(source, 'gi'), encoding: 'latin1' }
    : { kind: 'expression', expression: new RegExp(source, 'giu'), encoding: 'utf8' };
}

/** Where in the mapping, in bytes. */
export interface Place {
  readonly offset: number;
  readonly length: number;
}

export interface SearchOptions {
  from: number;
  to: number;
  threads: number;
  signal: AbortSignal;
  /** Told how many bytes are done. */
  onProgress?: (done: number) => void;
}

/** Places in order, without overlaps; those of a window of the file at a time. */
export function placesOf(
  mapping: Mapping,
  needle: Needle,
  options: SearchOptions,
): AsyncGenerator<Place[], void, undefined> {
  return needle.kind === 'bytes'
    ? placesOfBytes(mapping, needle.bytes, options)
    : placesOfExpression(mapping, needle, options);
}

const windowBytes = 2 ** 20;

/**
 * Goes from place to place off the event loop, and where one is, looks through the window behind it
 * at once: many places close by cost little, and a file without any is searched by all threads.
 */
async function* placesOfBytes(
  mapping: Mapping,
  bytes: Buffer,
  { from, to, threads, signal, onProgress }: SearchOptions,
): AsyncGenerator<Place[], void, undefined> {
  const { length } = bytes;
  for (let at = from; at < to; ) {
    const told = onProgress && (({ done }: { done: number }) => onProgress(at - from + done));
    const options = { from: at, to, threads, signal };
    const first = await find(mapping, bytes, told ? { ...options, onProgress: told } : options);
    if (first < 0) return;
    const end = Math.min(to, first + Math.max(windowBytes, length));
    const places: Place[] = [];
    for (const offset of findAllSync(mapping, bytes, { from: first, to: end })) {
      places.push({ offset, length });
    }
    yield places;
    // One that begins in this window may reach behind it.
    at = Math.max((places.at(-1)?.offset ?? first) + length, end === to ? to : end - length + 1);
    onProgress?.(at - from);
  }
}

async function* placesOfExpression(
  mapping: Mapping,
  { expression, encoding }: Extract<Needle, { kind: 'expression' }>,
  { from, to, signal, onProgress }: SearchOptions,
): AsyncGenerator<Place[], void, undefined> {
  for (let at = from; at < to; ) {
    signal.throwIfAborted();
    const end = at + windowBytes >= to ? to : lineAfter(mapping, at + windowBytes, to);
    const places: Place[] = [];
    for (const found of matches(mapping, expression, { from: at, to: end, encoding })) {
      places.push({ offset: found.offset, length: found.byteLength });
    }
    yield places;
    at = end;
    onProgress?.(at - from);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const newline = Buffer.from([10]);

function lineAfter(mapping: Mapping, at: number, to: number): number {
  const found = findSync(mapping, newline, { from: at, to });
  return found < 0 ? to : found + 1;
}

/** How many places there are: faster than to visit them. */
export async function countPlaces(
  mapping: Mapping,
  needle: Needle,
  options: SearchOptions,
): Promise<number> {
  if (needle.kind === 'bytes') {
    const { onProgress, ...rest } = options;
    const told = onProgress && { onProgress: ({ done }: { done: number }) => onProgress(done) };
    return count(mapping, needle.bytes, { ...rest, ...told });
  }
  let total = 0;
  for await (const places of placesOf(mapping, needle, options)) total += places.length;
  return total;
}

const margin = 4096;

/** Finds the lines that hold places which come in order. */
export class LineFinder {
  readonly #mapping: Mapping;
  readonly #from: number;
  readonly #to: number;
  readonly #terminator: number;
  /** A part of the file, in which nearly all lines begin and end. */
  #window: Buffer = Buffer.alloc(0);
  #start = 0;
  /** Where the line before ended. */
  #done: number;

  constructor(mapping: Mapping, range: { from: number; to: number }, terminator: number) {
    this.#mapping = mapping;
    this.#from = range.from;
    this.#to = range.to;
    this.#terminator = terminator;
    this.#done = range.from - 1;
  }

  /** The line without its end; `null`: it is that of the place before. */
  lineOf(place: Place): Place | null {
    if (place.offset < this.#done) return null;
    this.#show(place);
    const offset = this.#lineStart(place.offset);
    const end = this.#lineEnd(place.offset + place.length);
    this.#done = end;
    return { offset, length: end - offset };
  }

  /** Its bytes, as they are in the mapping now. */
  bytesOf({ offset, length }: Place): Buffer {
    const at = offset - this.#start;
    if (at >= 0 && at + length <= this.#window.length)
      return this.#window.subarray(at, at + length);
    return this.#mapping.window(offset, length);
  }

  #show({ offset, length }: Place): void {
    const end = offset + length;
    if (offset >= this.#start && end + margin <= this.#start + this.#window.length) return;
    this.#start = Math.max(this.#from, offset - margin);
    const wanted = Math.max(windowBytes, length + 2 * margin);
    this.#window = this.#mapping.window(this.#start, Math.min(wanted, this.#to - this.#start));
  }

  #lineStart(offset: number): number {
    const from = Math.max(this.#from, this.#done + 1);
    if (offset === from) return offset;
    const found = this.#window.lastIndexOf(this.#terminator, offset - 1 - this.#start);
    const start = offset > this.#start && found >= 0 ? this.#start + found + 1 : -1;
    if (start >= 0 || this.#start <= from) return Math.max(from, start);
    const before = findLastSync(this.#mapping, this.#bytes(), { from, to: offset });
    return before < 0 ? from : before + 1;
  }

  #lineEnd(offset: number): number {
    const found = this.#window.indexOf(this.#terminator, offset - this.#start);
    if (found >= 0) return this.#start + found;
    const behind = findSync(this.#mapping, this.#bytes(), { from: offset, to: this.#to });
    return behind < 0 ? this.#to : behind;
  }

  #bytes(): Buffer {
    return Buffer.from([this.#terminator]);
  }
}
