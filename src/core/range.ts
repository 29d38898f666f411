/**
 * Ranges of bytes, as every method of a mapping takes them.
 */
import { outOfRange } from './errors.ts';
import { integer, object } from './validate.ts';

/** A part of a mapping, in bytes from its first byte. */
export interface Range {
  /** Default 0. */
  offset?: number | undefined;
  /** Default: to the end of the mapping. */
  length?: number | undefined;
}

/** A range that lies inside its mapping. */
export interface Span {
  readonly offset: number;
  readonly length: number;
}

/** Reads a range once and checks its types; where it ends is decided by {@link within}. */
export function readRange(range: Range | undefined): Range {
  if (range === undefined) return {};
  object('range', range);
  const { offset, length } = range;
  if (offset !== undefined) integer('range.offset', offset);
  if (length !== undefined) integer('range.length', length);
  return { offset, length };
}

/** Completes a range that was read, and refuses what reaches behind `byteLength`. */
export function within(range: Range, byteLength: number): Span {
  const offset = range.offset ?? 0;
  if (offset > byteLength) {
    throw outOfRange('range.offset', `>= 0 && <= ${byteLength}`, offset);
  }
  const length = range.length ?? byteLength - offset;
  if (length > byteLength - offset) {
    throw outOfRange('range.length', `>= 0 && <= ${byteLength - offset}`, length);
  }
  return { offset, length };
}
