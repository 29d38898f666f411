/**
 * A SharedArrayBuffer over a mapping, by whatever way the runtime has.
 *
 * Where it exports node_api_create_external_sharedarraybuffer (Node from 22.23, 24.16 and 26.1 on),
 * the buffer is made over the mapping. Elsewhere on V8 the mapping is put under a growable
 * SharedArrayBuffer of the engine's own, which is page-aligned and stays where it is; that buffer
 * must outlive the mapping there, so the addon holds it by a second object over the same memory,
 * and the user's object can be collected as any other.
 */
import { constants } from 'node:buffer';
import { native } from '../binding/native.ts';
import { outOfRange, unsupported } from '../core/errors.ts';

/** Bytes that a SharedArrayBuffer can have where the engine's own are used. */
const growableLimit = 2 ** 32;

const isBun = 'bun' in process.versions;

/** Refuses what no SharedArrayBuffer of this runtime can hold; called before anything happens. */
export function checkSharedLength(name: string, length: number): void {
  const limit = Math.max(constants.MAX_LENGTH, growableLimit);
  if (length > limit) {
    const hint = 'map a part of the file, or use Node 22 or later';
    throw outOfRange(
      name,
      `<= ${limit}, the largest SharedArrayBuffer of this runtime`,
      length,
      hint,
    );
  }
}

/** Makes the buffer of a mapping of `length` > 0 bytes. */
export function makeSharedBuffer(mapping: object, length: number): SharedArrayBuffer {
  let buffer = native.sharedBuffer(mapping, length);
  if (!buffer) {
    if (isBun) {
      const state = 'this runtime cannot make a SharedArrayBuffer over a mapping safely';
      throw unsupported('share memory', state, { hint: 'use Node 20 or later, or a newer Bun' });
    }
    const pin = new SharedArrayBuffer(length, { maxByteLength: length });
    buffer = structuredClone(pin);
    native.moveOnto(mapping, new Uint8Array(pin), pin);
  }
  native.hold(mapping, buffer);
  return buffer;
}
