/**
 * What is searched for.
 */
import { types } from 'node:util';
import { invalidArgument, outOfRange } from '../core/errors.ts';
import { bytesOf } from '../core/validate.ts';

/** Text, which is searched for as its UTF-8 bytes, or bytes. At least one byte. */
export type Pattern = string | NodeJS.ArrayBufferView;

/** Without its iterator, which may be the caller's own; of a detached view nothing. */
function copyOf(view: Uint8Array): Uint8Array {
  return view.byteLength === 0 ? new Uint8Array(0) : new Uint8Array(view);
}

/** The bytes of a pattern, copied: nobody changes or detaches them while they are searched for. */
export function readPattern(name: string, value: unknown): Uint8Array {
  if (types.isRegExp(value)) {
    throw invalidArgument(name, 'of type string or bytes; matches() takes a RegExp', value);
  }
  // UTF-8 has no bytes for half a pair: another text would be searched for.
  if (typeof value === 'string' && /\p{Surrogate}/u.test(value)) {
    throw invalidArgument(name, 'text without lone surrogates', value);
  }
  const bytes = typeof value === 'string' ? Buffer.from(value) : copyOf(bytesOf(name, value));
  if (bytes.byteLength === 0) {
    throw outOfRange(name, 'at least one byte long', "''", 'an empty pattern is everywhere');
  }
  return bytes;
}
