/**
 * Names of POSIX shared memory objects, shm_overview(7).
 */
import { invalidArgument } from '../core/errors.ts';

/** Bytes of a name without its slash: NAME_MAX, include/uapi/linux/limits.h. */
const longest = 255;

/** The path of the object: glibc and musl keep them in this directory. */
export const directory = '/dev/shm';

/** Checks `'/name'` and returns the object's path. */
export function pathOf(name: unknown): string {
  const isName =
    typeof name === 'string' &&
    /^\/[^/\0]+$/.test(name) &&
    name !== '/.' &&
    name !== '/..' &&
    Buffer.byteLength(name) - 1 <= longest;
  if (!isName) {
    const expected = `a slash and 1 to ${longest} bytes without slashes, like '/name'`;
    throw invalidArgument('name', expected, name);
  }
  return directory + name;
}
