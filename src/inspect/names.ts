/**
 * The kernel writes ` (deleted)` behind the name of a file that is gone, and a file may be called
 * so: only a look at the file tells which it is.
 */
import { lstatSync } from 'node:fs';
import type { NativeMaps } from '../binding/native.ts';
import { doubtfulNames, type NamedMaps } from './parse/maps.ts';

function inodeAt(path: string): bigint | null {
  try {
    return lstatSync(path, { bigint: true }).ino;
  } catch {
    return null; // it is gone, as the kernel says, or may not be looked at
  }
}

/** Notes which names are of files that are there: by their inode, as the process sees them. */
export function lookAtNames(pid: number | 'self', maps: NativeMaps): NamedMaps {
  const living = doubtfulNames(maps).filter(
    ({ path, inode }) => inodeAt(`/proc/${pid}/root${path}`) === inode,
  );
  return living.length === 0 ? maps : [...maps, new Set(living.map(({ text }) => text))];
}
