/**
 * What the system says about this process and its mappings. Where it says nothing (another kernel,
 * a sandbox), the answer is null.
 */
import { readFileSync } from 'node:fs';
import { freemem } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Mapping } from '../../index.ts';
import {
  areasOf,
  hasCapability,
  parseChoice,
  parseFields,
  parseLimit,
  parseSmaps,
  sumOf,
} from './proc.ts';

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return null;
  }
}

/** Collects garbage, so that what earlier work left behind does not blur what comes. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect === 'function') collect();
}

/** What of a mapping is in memory, in bytes, and what its pages may do. */
export interface MappingMemory {
  resident: number | null;
  /** Changed, and not yet in the file. */
  dirty: number | null;
  /** Without a file behind: private copies, and anonymous memory. */
  anonymous: number | null;
  huge: number | null;
  locked: number | null;
  permissions: string | null;
}

export function memoryOf(mapping: Mapping): MappingMemory {
  const text = readText('/proc/self/smaps');
  const areas = text === null ? [] : parseSmaps(text);
  const own = areasOf(areas, mapping.address, mapping.byteLength);
  const sum = (...fields: string[]) =>
    own.length === 0 ? null : fields.reduce((total, field) => total + sumOf(own, field), 0);
  return {
    resident: sum('Rss'),
    dirty: sum('Shared_Dirty', 'Private_Dirty'),
    anonymous: sum('Anonymous'),
    huge: sum(
      'AnonHugePages',
      'ShmemPmdMapped',
      'FilePmdMapped',
      'Shared_Hugetlb',
      'Private_Hugetlb',
    ),
    locked: sum('Locked'),
    permissions: own.length === 0 ? null : [...new Set(own.map((a) => a.permissions))].join(' '),
  };
}

/** Fields of /proc/self/status in bytes: `VmSize`, `VmRSS`, `VmLck`. */
export function processBytes(field: 'VmSize' | 'VmRSS' | 'VmLck'): number | null {
  const text = readText('/proc/self/status');
  return (text === null ? undefined : parseFields(text).get(field)) ?? null;
}

export interface Faults {
  /** Served from memory. */
  minor: number;
  /** Served from the disk. */
  major: number;
}

/** The page faults of the process while `work` runs. */
export function faultsOf(work: () => void): Faults {
  const before = process.resourceUsage();
  work();
  const after = process.resourceUsage();
  return {
    minor: after.minorPageFault - before.minorPageFault,
    major: after.majorPageFault - before.majorPageFault,
  };
}

/** A soft limit of the process; Infinity: none; null: not told. */
export function softLimit(name: string): number | null {
  const text = readText('/proc/self/limits');
  return (text === null ? undefined : parseLimit(text, name)) ?? null;
}

/** CAP_IPC_LOCK is bit 14: with it RLIMIT_MEMLOCK does not bind. */
export function mayLockAnything(): boolean {
  const text = readText('/proc/self/status');
  return text !== null && hasCapability(text, 14);
}

export function memoryInfo(field: string): number | null {
  const text = readText('/proc/meminfo');
  return (text === null ? undefined : parseFields(text).get(field)) ?? null;
}

/** `always`, `madvise` or `never`; null: the kernel has no transparent huge pages. */
export function transparentHugePages(): string | null {
  const text = readText('/sys/kernel/mm/transparent_hugepage/enabled');
  return text === null ? null : parseChoice(text);
}

export function kernelSetting(name: string): number | null {
  const text = readText(`/proc/sys/${name.replaceAll('.', '/')}`);
  return text === null ? null : Number(text.trim().split(/\s+/)[0]);
}

/** Mappings of this process. */
export function mappingCount(): number | null {
  return readText('/proc/self/maps')?.trimEnd().split('\n').length ?? null;
}

/** Bytes that the process may still take, as far as the system and its container tell. */
export function availableBytes(): number {
  return Math.min(freemem(), process.availableMemory?.() ?? Number.POSITIVE_INFINITY);
}
