/**
 * How many.
 */
import { Scan } from '../binding/native.ts';
import { boolean } from '../core/validate.ts';
import type { Mapping } from '../mapping/mapping.ts';
import { readWorkOptions } from '../mapping/work.ts';
import { type Pattern, readPattern } from './pattern.ts';
import {
  checkMapping,
  type Request,
  readSpan,
  readThreads,
  type ScanOptions,
  type ScanSyncOptions,
  scan,
  scanSync,
} from './scan.ts';

export interface Overlapping {
  /** Occurrences that begin inside another one as well: `aaa` holds `aa` twice. Default false. */
  overlapping?: boolean | undefined;
}

export interface CountOptions extends ScanOptions, Overlapping {}
export interface CountSyncOptions extends ScanSyncOptions, Overlapping {}

function countRequest(bytes: Uint8Array, options: CountSyncOptions): Request {
  const { overlapping = false } = options;
  boolean('options.overlapping', overlapping);
  return { kind: Scan.count, pattern: bytes, overlapping, threads: readThreads(options) };
}

/**
 * Counts the occurrences of a pattern, from the left and without overlaps unless `overlapping`. Runs
 * off the event loop.
 * @param pattern Text (its UTF-8 bytes) or bytes; not empty.
 * @throws FaultError (rejects) when the file was cut, or a page failed, in the range.
 */
export async function count(
  mapping: Mapping,
  pattern: Pattern,
  options: CountOptions = {},
): Promise<number> {
  checkMapping(mapping);
  const bytes = readPattern('pattern', pattern);
  const span = readSpan('count', mapping, options);
  const request = countRequest(bytes, options);
  return (await scan(mapping, span, request, readWorkOptions(options))).value;
}

/** {@link count}, here and now. */
export function countSync(
  mapping: Mapping,
  pattern: Pattern,
  options: CountSyncOptions = {},
): number {
  checkMapping(mapping);
  const bytes = readPattern('pattern', pattern);
  const span = readSpan('count', mapping, options);
  return scanSync(mapping, span, countRequest(bytes, options)).value;
}

/**
 * Counts the lines, as `lines()` yields them: a last line without newline counts, a final newline
 * starts none. Runs off the event loop.
 * @throws FaultError (rejects) as {@link count}.
 */
export async function lineCount(mapping: Mapping, options: ScanOptions = {}): Promise<number> {
  checkMapping(mapping);
  const span = readSpan('count lines', mapping, options);
  const request = { kind: Scan.lines, threads: readThreads(options) };
  return (await scan(mapping, span, request, readWorkOptions(options))).value;
}

/** {@link lineCount}, here and now. */
export function lineCountSync(mapping: Mapping, options: ScanSyncOptions = {}): number {
  checkMapping(mapping);
  const span = readSpan('count lines', mapping, options);
  return scanSync(mapping, span, { kind: Scan.lines, threads: readThreads(options) }).value;
}
