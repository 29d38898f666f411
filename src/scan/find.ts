/**
 * The first and the last occurrence.
 */
import { Scan } from '../binding/native.ts';
import type { Mapping } from '../mapping/mapping.ts';
import { readWorkOptions } from '../mapping/work.ts';
import { type Pattern, readPattern } from './pattern.ts';
import {
  checkMapping,
  readSpan,
  readThreads,
  type ScanOptions,
  type ScanSyncOptions,
  scan,
  scanSync,
} from './scan.ts';

async function search(
  kind: number,
  mapping: Mapping,
  pattern: Pattern,
  options: ScanOptions,
): Promise<number> {
  checkMapping(mapping);
  const bytes = readPattern('pattern', pattern);
  const span = readSpan('search', mapping, options);
  const work = readWorkOptions(options);
  const request = { kind, pattern: bytes, threads: readThreads(options) };
  return (await scan(mapping, span, request, work)).value;
}

function searchSync(
  kind: number,
  mapping: Mapping,
  pattern: Pattern,
  options: ScanSyncOptions,
): number {
  checkMapping(mapping);
  const bytes = readPattern('pattern', pattern);
  const span = readSpan('search', mapping, options);
  return scanSync(mapping, span, { kind, pattern: bytes, threads: readThreads(options) }).value;
}

/**
 * Where the first occurrence begins, or -1. It lies between `from` and `to` as a whole. Runs off
 * the event loop.
 * @param pattern Text (its UTF-8 bytes) or bytes; not empty.
 * @returns A byte of the mapping.
 * @throws FaultError (rejects) when the file was cut, or a page failed, in the searched part.
 */
export function find(
  mapping: Mapping,
  pattern: Pattern,
  options: ScanOptions = {},
): Promise<number> {
  return search(Scan.first, mapping, pattern, options);
}

/** {@link find}, here and now. */
export function findSync(
  mapping: Mapping,
  pattern: Pattern,
  options: ScanSyncOptions = {},
): number {
  return searchSync(Scan.first, mapping, pattern, options);
}

/** Where the last occurrence begins, or -1; as {@link find}. */
export function findLast(
  mapping: Mapping,
  pattern: Pattern,
  options: ScanOptions = {},
): Promise<number> {
  return search(Scan.last, mapping, pattern, options);
}

/** {@link findLast}, here and now. */
export function findLastSync(
  mapping: Mapping,
  pattern: Pattern,
  options: ScanSyncOptions = {},
): number {
  return searchSync(Scan.last, mapping, pattern, options);
}
