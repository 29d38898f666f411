/**
 * The ways to a mapping.
 */
import { type Mapping, makeMapping } from './mapping.ts';
import {
  type AnonymousOptions,
  type FileLike,
  type MapOptions,
  readAnonymousOptions,
  readMapOptions,
} from './options.ts';
import { requested } from './origin.ts';

/**
 * Maps a file, or a device that can be mapped. An empty file gives an empty mapping, on which every
 * method works; directories, pipes, sockets and files of /proc are refused with ENODEV.
 * @param file A path, a `file:` URL, a descriptor or a FileHandle; the last two stay the caller's.
 * @throws TypeError `ERR_INVALID_ARG_TYPE`, RangeError `ERR_OUT_OF_RANGE` before anything happens;
 * MemmapError with the system's code and a hint; the file is then as it was.
 *
 * ```ts
 * using log = map('/var/log/syslog');
 * log.bytes.subarray(0, 80).toString();
 * ```
 */
export function map(file: FileLike, options?: MapOptions): Mapping {
  return makeMapping(requested(readMapOptions(file, options)));
}

/**
 * Maps memory without a file, full of zeros. With `shared` it is a memory object (memfd), which
 * has a descriptor and can be given to other processes.
 */
export function anonymous(byteLength: number, options?: AnonymousOptions): Mapping {
  return makeMapping(requested(readAnonymousOptions(byteLength, options)));
}
