/**
 * What an address space has room for: how far it reaches, and its largest hole.
 */
import { programBits } from '../core/pagetable.ts';
import { pageTables } from '../mapping/translation.ts';
import { gapsBetween } from './address-space.ts';
import type { AddressRange } from './pages.ts';
import { MapTable } from './parse/maps.ts';
import { type ProcessId, readMappings, tryReadNumber } from './proc.ts';

/** The addresses that a process can be given. */
export interface Room {
  /** How many bits they have. */
  readonly bits: number;
  /** Bytes of all of them. */
  readonly size: number;
  /** Bytes of the largest hole: the most that one mapping can have. */
  readonly largest: number;
}

/** Without a hint nothing is placed higher, whatever the tables could do (DEFAULT_MAP_WINDOW). */
const mostBits = 48;

/** Bytes of the largest hole between mappings, which are in order, from `start` to `end`. */
export function largestHole(mappings: readonly AddressRange[], start: bigint, end: bigint): bigint {
  const inside = mappings.filter((mapping) => mapping.end > start && mapping.start < end);
  let largest = 0n;
  for (const { length } of gapsBetween([{ start, end: start }, ...inside, { start: end, end }])) {
    if (length > largest) largest = length;
  }
  return largest;
}

/** `null`: its mappings may not be read, or this architecture is not known. */
export function roomOf(pid: ProcessId): Room | null {
  const tables = pageTables(pid);
  if (!tables) return null;
  const bits = programBits(process.arch, Math.min(tables.addressBits, mostBits));
  const start = BigInt(tryReadNumber('/proc/sys/vm/mmap_min_addr') ?? 0);
  const end = 1n << BigInt(bits);
  try {
    const mappings = new MapTable(readMappings(pid, 'maps')).ranges();
    return { bits, size: Number(end), largest: Number(largestHole(mappings, start, end)) };
  } catch {
    return null;
  }
}
