/**
 * A function over the slices of a file, in worker threads.
 *
 * The file is mapped here to find where it can be cut; each worker maps its own slice by the same
 * descriptor, so that all see one file and its pages are in memory once.
 */
import { availableParallelism } from 'node:os';
import { pathToFileURL } from 'node:url';
import { Scan } from '../binding/native.ts';
import { invalidArgument, outOfRange } from '../core/errors.ts';
import { integer, isUrl } from '../core/validate.ts';
import { map } from '../mapping/map.ts';
import type { Mapping } from '../mapping/mapping.ts';
import type { FileLike } from '../mapping/options.ts';
import { readWorkOptions, type WorkOptions } from '../mapping/work.ts';
import { type Pattern, readPattern } from './pattern.ts';
import { checkSound, scan } from './scan.ts';
import { type Slice, takeWorkers } from './workers.ts';

/** What the module's function is told besides the bytes. */
export interface SliceInfo {
  /** The slice's number, from 0 on. */
  index: number;
  /** Its first byte in the file. */
  offset: number;
  /** `options.argument`, cloned. */
  argument: unknown;
}

export interface MapParallelOptions extends WorkOptions {
  /** Worker threads, from 1 to 256. Default: as many as the machine runs at once. */
  workers?: number | undefined;
  /** What ends a record; slices end behind one. Text or bytes, not empty. Default `'\n'`. */
  boundary?: Pattern | undefined;
  /** Given to each call of the function; cloned. Default none. */
  argument?: unknown;
  /**
   * Bytes of a slice, at most 1 GiB; each is then made longer, up to the end of its record. Default:
   * so that each worker gets about four, between 4 MiB and 256 MiB.
   */
  sliceLength?: number | undefined;
}

/** No slice is longer than this: every runtime has buffers of this size. */
const longest = 2 ** 30;

/** Each has a result, and messages to and from its worker. */
const mostSlices = 2 ** 20;

function readModule(module: unknown): string {
  if (isUrl(module)) return module.href;
  if (typeof module === 'string') {
    if (module.startsWith('/')) return pathToFileURL(module).href;
    if (URL.canParse(module)) return module;
  }
  const expected = "a URL or an absolute path, such as new URL('./module.js', import.meta.url)";
  throw invalidArgument('module', expected, module);
}

function readSliceLength(given: number | undefined, byteLength: number, workers: number): number {
  if (given !== undefined) {
    if (byteLength / given > mostSlices) {
      const least = Math.ceil(byteLength / mostSlices);
      throw outOfRange('options.sliceLength', `>= ${least} for ${byteLength} bytes`, given);
    }
    return given;
  }
  const share = Math.ceil(byteLength / (workers * 4));
  return Math.min(Math.max(share, 4 * 2 ** 20), 256 * 2 ** 20);
}

/** Cuts the file behind the first record border at or after each multiple of the length. */
async function cutFile(
  mapping: Mapping,
  boundary: Uint8Array,
  length: number,
  signal: AbortSignal | undefined,
): Promise<Slice[]> {
  const slices: Slice[] = [];
  const { byteLength } = mapping;
  for (let offset = 0; offset < byteLength; ) {
    const end = await findEnd(
      mapping,
      boundary,
      offset,
      Math.min(offset + length, byteLength),
      signal,
    );
    if (end - offset > longest) {
      const where = `the record at ${offset} of ${mapping.path ?? 'the file'}`;
      const expected = `such that no slice exceeds ${longest} bytes`;
      throw outOfRange('options.boundary', expected, `${end - offset} bytes for ${where}`);
    }
    slices.push({ index: slices.length, offset, length: end - offset });
    offset = end;
  }
  return slices;
}

/** Where the record ends that holds the byte before `target`. */
async function findEnd(
  mapping: Mapping,
  boundary: Uint8Array,
  start: number,
  target: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  const { byteLength } = mapping;
  if (target === byteLength) return byteLength;
  // A border that begins before the target may end behind it, but none of this slice's before it.
  const from = Math.max(start, target - boundary.length);
  const span = { offset: from, length: byteLength - from };
  const request = { kind: Scan.first, pattern: boundary };
  const { value } = await scan(mapping, span, request, { signal });
  return value < 0 ? byteLength : value + boundary.length;
}

/**
 * Runs the default export of a module on every slice of a file, in worker threads:
 * `(slice: Buffer, { index, offset, argument }) => result`, or a promise of it. Slices end behind a
 * record border and hold no more than 1 GiB; each is a mapping of its worker, open until the
 * function has ended. Workers stay for the next call and do not keep the process alive.
 * @param file A path, a `file:` URL, a descriptor or a FileHandle; the last two stay the caller's.
 * @param module A URL or an absolute path of what `import()` takes.
 * @returns The results, cloned, in the order of the slices; none for an empty file.
 * @throws (rejects, after all workers of the call have ended) MemmapError `ERR_MEMMAP_WORKER` with
 * the cause, when the module cannot be used, its function throws, its result cannot be cloned, or a
 * worker dies; FaultError when the file was cut; the signal's reason.
 */
export async function mapParallel<Result = unknown>(
  file: FileLike,
  module: string | URL,
  options: MapParallelOptions = {},
): Promise<Result[]> {
  const { signal, onProgress } = readWorkOptions(options);
  const { workers = availableParallelism(), boundary = '\n', argument, sliceLength } = options;
  const url = readModule(module);
  integer('options.workers', workers, 1, 256);
  const border = readPattern('options.boundary', boundary);
  if (sliceLength !== undefined) integer('options.sliceLength', sliceLength, 1, longest);
  signal?.throwIfAborted();
  const mapping = map(file);
  try {
    const { byteLength } = mapping;
    const length = readSliceLength(sliceLength, byteLength, workers);
    const slices = await cutFile(mapping, border, length, signal);
    if (slices.length === 0) return [];
    let done = 0;
    const job = { url, argument, fd: mapping.fd, path: mapping.path, slices, signal };
    const team = await takeWorkers(Math.min(workers, slices.length), signal);
    return (await team.run(job, (slice) => {
      done += slice.length;
      onProgress?.({ done, total: byteLength });
    })) as Result[];
  } catch (error) {
    // Of a file that was cut the workers fail in many ways.
    if (!signal?.aborted) checkSound(mapping, mapping.byteLength);
    throw error;
  } finally {
    mapping.close();
  }
}
