/**
 * A SharedArrayBuffer over a mapping, by whatever way the runtime has.
 *
 * Where it exports node_api_create_external_sharedarraybuffer (Node from 22.23, 24.16 and 26.1 on,
 * Bun), the buffer is made over the mapping. Elsewhere on V8 the mapping is put under a growable
 * SharedArrayBuffer of the engine's own, which is page-aligned and stays where it is as long as
 * it is not grown, and it never is: its length is its maximum.
 *
 * The engine frees that memory when no object over it is left. So each thread that uses such a
 * mapping holds a pin: a second object over the same memory, strongly referenced by the addon, that
 * JavaScript never sees. It goes only after ordinary memory has been put back and the range is no
 * longer the library's. The user's object is collected as any other, which is how the addon learns
 * that nobody can store there any more.
 */
import { constants } from 'node:buffer';
import { native } from '../binding/native.ts';
import { MemmapError, outOfRange, unsupported } from '../core/errors.ts';

/** The engine's own answer, whatever a buffer says of itself. */
const growableOf = Object.getOwnPropertyDescriptor(SharedArrayBuffer.prototype, 'growable')?.get;

/** Refuses what this runtime cannot share; called before anything happens. */
export function checkShared(name: string, length: number): void {
  if (!native.hasSharedBuffers && 'bun' in process.versions) {
    const state = 'this runtime cannot make a SharedArrayBuffer over a mapping safely';
    throw unsupported('share a mapping', state, { hint: 'use Node 20 or later, or a newer Bun' });
  }
  if (length <= constants.MAX_LENGTH) return;
  const expected = `<= ${constants.MAX_LENGTH}, the largest SharedArrayBuffer of this runtime`;
  throw outOfRange(name, expected, length, 'map a part of the file, or use Node 22 or later');
}

/** Whether the buffer is the engine's memory with a mapping put under it. */
export function isGrowable(buffer: SharedArrayBuffer): boolean {
  return growableOf?.call(buffer) === true;
}

/** A second object over the memory of a growable buffer, for the addon to hold. */
export function pinShared(buffer: SharedArrayBuffer): SharedArrayBuffer | undefined {
  return isGrowable(buffer) ? structuredClone(buffer) : undefined;
}

/**
 * Memory of the engine's for a mapping of `length` bytes to be put under; undefined where there is no
 * need for it. Asked for before a file is changed, so that a refusal leaves it as it was.
 */
export function reserveShared(length: number): SharedArrayBuffer | undefined {
  if (native.hasSharedBuffers || length <= 0) return undefined;
  try {
    return new SharedArrayBuffer(length, { maxByteLength: length });
  } catch (cause) {
    const state = `${length} bytes of address space for its SharedArrayBuffer are not to be had`;
    throw new MemmapError('ENOMEM', `Cannot share a mapping: ${state} (ENOMEM)`, {
      cause,
      hint: 'raise RLIMIT_AS (ulimit -v), or map a part of the file',
    });
  }
}

/**
 * Makes the buffer of a mapping of `length` > 0 bytes.
 * @param reserved From {@link reserveShared}; used where its length fits.
 */
export function makeSharedBuffer(
  mapping: object,
  length: number,
  reserved?: SharedArrayBuffer,
): SharedArrayBuffer {
  let buffer = native.sharedBuffer(mapping, length);
  if (!buffer) {
    const fits = reserved?.byteLength === length;
    const pin = (fits ? reserved : reserveShared(length)) as SharedArrayBuffer;
    buffer = structuredClone(pin);
    native.moveOnto(mapping, new Uint8Array(pin), pin);
  }
  native.hold(mapping, buffer);
  return buffer;
}
