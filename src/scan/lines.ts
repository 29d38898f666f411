/**
 * The lines of a text, one after the other, as views of the mapping.
 *
 * Newlines are looked for a batch at a time; the lines of a batch share one window, so that a line
 * costs a subarray. A line that is longer than what a batch looks at gets a window of its own.
 */
import { Scan } from '../binding/native.ts';
import type { Span } from '../core/range.ts';
import type { Mapping } from '../mapping/mapping.ts';
import { checkMapping, checkSound, readSpan, type ScanRange, scanSync } from './scan.ts';

const batchBytes = 2 ** 20;
const batchLines = 8192;
const nearBytes = 65_536;
const carriageReturn = 13;

export const newline = new Uint8Array([10]);

/** A line without the \r that belongs to its \n. */
export function withoutReturn(line: Buffer): Buffer {
  const last = line.length - 1;
  return last >= 0 && line[last] === carriageReturn ? line.subarray(0, last) : line;
}

/** Where the line that holds byte `at` ends: its newline, or `end`. */
export function lineEnd(mapping: Mapping, at: number, end: number): number {
  const request = { kind: Scan.first, pattern: newline };
  // Nearly all lines end soon, and a scan of little asks the kernel nothing.
  const near = Math.min(at + nearBytes, end);
  let found = scanSync(mapping, { offset: at, length: near - at }, request).value;
  if (found < 0) found = scanSync(mapping, { offset: near, length: end - near }, request).value;
  return found < 0 ? end : found;
}

/**
 * The lines of the mapping, lazily and without a copy: each is a Buffer over the mapping, valid
 * until it is closed. The terminator (`\n` or `\r\n`) is not part of it; a last line without one
 * counts; a final newline starts none. Looks for newlines on the calling thread, about a megabyte
 * at a time.
 *
 * ```ts
 * for (const line of lines(mapping)) if (line.length > 80) console.log(line.toString());
 * ```
 * @throws RangeError on a line that is longer than a Buffer of this runtime can be; FaultError when
 * the file was cut.
 */
export function lines(
  mapping: Mapping,
  options: ScanRange = {},
): Generator<Buffer, void, undefined> {
  checkMapping(mapping);
  return linesOf(mapping, readSpan('read lines', mapping, options));
}

function* linesOf(mapping: Mapping, { offset, length }: Span): Generator<Buffer, void, undefined> {
  const end = offset + length;
  for (let at = offset; at < end; ) {
    const span = { offset: at, length: Math.min(batchBytes, end - at) };
    const request = { kind: Scan.collect, pattern: newline, numbers: batchLines };
    const { numbers } = scanSync(mapping, span, request);
    const last = numbers.at(-1);
    if (last === undefined) {
      const stop = lineEnd(mapping, at, end);
      const line = mapping.window(at, stop - at);
      yield stop === end ? line : withoutReturn(line);
      at = stop + 1;
      checkRead(mapping, Math.min(at, end));
      continue;
    }
    const start = at;
    const bytes = last - start;
    let window = mapping.window(start, bytes);
    for (const stop of numbers) {
      // Closed, or resized, while the caller had the line before.
      if (window.length !== bytes) window = mapping.window(start, bytes);
      yield withoutReturn(window.subarray(at - start, stop - start));
      at = stop + 1;
    }
    checkRead(mapping, at);
  }
}

/** Lines that were behind the end of a file that was cut are told; a mapping may end before them. */
function checkRead(mapping: Mapping, at: number): void {
  if (!mapping.closed) checkSound(mapping, at);
}
