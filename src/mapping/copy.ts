/**
 * Copies into and out of mappings that never fault.
 */
import { Fact, faultCodes, native, objectKinds } from '../binding/native.ts';
import { MemmapError } from '../core/errors.ts';
import type { Origin } from './origin.ts';

/** The error of a store that is not allowed. */
export function readOnly({ name, path, access }: Origin): MemmapError {
  const state = 'the mapping, or this part of it, is read-only';
  return new MemmapError('ERR_MEMMAP_READ_ONLY', `Cannot write to ${name}: ${state}`, {
    path: path ?? undefined,
    hint:
      access === 'read' && path !== null
        ? "map with access 'write' or 'copy'"
        : "protect('write', range), or map with access 'write'",
  });
}

/** A file that was mapped for reading can never be stored into, wherever that would be. */
export function isReadOnly(origin: Origin, objectKind: number): boolean {
  return origin.access === 'read' && objectKinds[objectKind] !== 'anonymous memory';
}

/** What the engine answers when the memory that is not the mapping's ended a copy. */
const otherSide = faultCodes.length + 1;

/** Copies and returns how many bytes; throws when there was not one, and says why. */
export function copyBytes(
  mapping: object,
  verb: 'read' | 'write',
  bytes: Uint8Array,
  position: number,
  origin: Origin,
): number {
  const copied = native[verb](mapping, position, bytes);
  const answer = native.facts[Fact.kind] as number;
  if (copied === 0 && answer === otherSide) {
    const argument = verb === 'read' ? 'target' : 'source';
    const message = `Cannot ${verb} ${origin.name}: the memory of the ${argument} cannot be touched`;
    throw new MemmapError('EFAULT', `${message} (EFAULT)`, {
      errno: -14,
      hint: 'it is part of another mapping: check() that one',
    });
  }
  const kind = faultCodes[answer];
  if (copied > 0 || kind === undefined || kind === 'ERR_MEMMAP_TRUNCATED') return copied;
  if (kind === 'ERR_MEMMAP_READ_ONLY') throw readOnly(origin);
  const isDisk = kind === 'ERR_MEMMAP_IO';
  const state = isDisk ? 'the disk is full or failed' : "it is protected 'none'";
  throw new MemmapError(kind, `Cannot ${verb} byte ${position} of ${origin.name}: ${state}`, {
    path: origin.path ?? undefined,
    hint: isDisk ? 'free space, or look at the kernel log' : `protect('${verb}', range)`,
  });
}
