/**
 * What the system says about this process and its mappings. Where it says nothing (another kernel,
 * a sandbox), the answer is null.
 */
import { freemem } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Mapping } from '../../index.ts';
import {
  type Account,
  accountOf,
  addAccounts,
  limits,
  type ResourceLimits,
  readSmaps,
  readStatus,
  type SmapsEntry,
} from '../../inspect/index.ts';

function attempt<T>(look: () => T): T | null {
  try {
    return look();
  } catch {
    return null;
  }
}

/** Collects garbage, so that what earlier work left behind does not blur what comes. */
export function collectGarbage(): void {
  const { Bun } = globalThis as { Bun?: { gc(isSynchronous: boolean): void } };
  if (Bun) {
    Bun.gc(true);
    return;
  }
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
  const end = mapping.address + BigInt(mapping.byteLength);
  const all = attempt(() => readSmaps()) ?? [];
  const own = all.filter((entry) => entry.start < end && entry.end > mapping.address);
  const total = own.length === 0 ? null : addAccounts(own.map(accountOf));
  const tell = (name: keyof Account) => total?.[name] ?? null;
  const sum = (name: keyof SmapsEntry) =>
    own.length === 0 ? null : own.reduce((all, entry) => all + Number(entry[name] ?? 0), 0);
  return {
    resident: tell('resident'),
    dirty: tell('dirty'),
    anonymous: sum('anonymous'),
    huge: tell('huge'),
    locked: tell('locked'),
    permissions: own.length === 0 ? null : [...new Set(own.map((a) => a.permissions))].join(' '),
  };
}

/** Of the whole process, in bytes. */
export function processBytes(quantity: 'virtual' | 'resident' | 'locked'): number | null {
  return attempt(() => readStatus())?.[quantity] ?? null;
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
export function softLimit(name: keyof ResourceLimits): number | null {
  return limits().resources[name]?.soft ?? null;
}

/** Bytes that the process may still take, as far as the system and its container tell. */
export function availableBytes(): number {
  return Math.min(freemem(), process.availableMemory?.() ?? Number.POSITIVE_INFINITY);
}
