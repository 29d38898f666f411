/**
 * Checks of arguments, made once, at the public border. They look at what was passed and never
 * convert it, so that no `valueOf` or `toString` of the caller runs between a check and its use.
 */
import { invalidArgument, outOfRange } from './errors.ts';

/** A whole number between `minimum` and `maximum`, not converted from anything. */
export function integer(
  name: string,
  value: unknown,
  minimum = 0,
  maximum = Number.MAX_SAFE_INTEGER,
): asserts value is number {
  if (typeof value !== 'number') throw invalidArgument(name, 'of type number', value);
  if (!Number.isInteger(value)) throw outOfRange(name, 'an integer', value);
  if (value < minimum || value > maximum) {
    throw outOfRange(name, `>= ${minimum} && <= ${maximum}`, value);
  }
}

export function boolean(name: string, value: unknown): asserts value is boolean {
  if (typeof value !== 'boolean') throw invalidArgument(name, 'of type boolean', value);
}

/** A plain options object; arrays and null are none. */
export function object(name: string, value: unknown): asserts value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidArgument(name, 'of type object', value);
  }
}

export function callback(
  name: string,
  value: unknown,
): asserts value is (...a: never[]) => unknown {
  if (typeof value !== 'function') throw invalidArgument(name, 'of type function', value);
}

/** One of the names of a table. */
export function oneOf<T extends string>(
  name: string,
  value: unknown,
  choices: readonly T[],
): asserts value is T {
  if (!choices.includes(value as T)) {
    throw invalidArgument(
      name,
      `one of ${choices.map((choice) => `'${choice}'`).join(', ')}`,
      value,
    );
  }
}

export function abortSignal(name: string, value: unknown): asserts value is AbortSignal {
  const { throwIfAborted, addEventListener, removeEventListener } = Object(
    value,
  ) as Partial<AbortSignal>;
  const methods = [throwIfAborted, addEventListener, removeEventListener];
  if (methods.some((method) => typeof method !== 'function')) {
    throw invalidArgument(name, 'an instance of AbortSignal', value);
  }
}

/** As Node's own functions tell: of any realm. */
export function isUrl(value: unknown): value is URL {
  const { href, protocol, auth, path } = Object(value) as Record<string, unknown>;
  return typeof href === 'string' && typeof protocol === 'string' && auth === path && !path;
}

/** Tells a typed array of any realm by what the engine knows of it, which nobody can pretend. */
const typeName = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)?.get;

/** Any view of bytes, as a Uint8Array over the same memory. */
export function bytesOf(name: string, value: unknown): Uint8Array {
  if (typeName?.call(value) === 'Uint8Array') return value as Uint8Array;
  if (ArrayBuffer.isView(value)) {
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  throw invalidArgument(name, 'an instance of Buffer, TypedArray, or DataView', value);
}
