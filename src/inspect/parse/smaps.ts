/**
 * /proc/PID/smaps and smaps_rollup: what each mapping has in memory (fs/proc/task_mmu.c, show_smap).
 * A header as in maps, then lines of `Name: value kB`; kernels differ in which they have.
 */
import { fieldsOf, pick } from './fields.ts';
import { type MapEntry, parseMapLine } from './maps.ts';

const quantities = {
  KernelPageSize: 'kernelPageSize',
  MMUPageSize: 'mmuPageSize',
  Rss: 'rss',
  Pss: 'pss',
  Pss_Dirty: 'pssDirty',
  Pss_Anon: 'pssAnon',
  Pss_File: 'pssFile',
  Pss_Shmem: 'pssShmem',
  Shared_Clean: 'sharedClean',
  Shared_Dirty: 'sharedDirty',
  Private_Clean: 'privateClean',
  Private_Dirty: 'privateDirty',
  Referenced: 'referenced',
  Anonymous: 'anonymous',
  KSM: 'ksm',
  LazyFree: 'lazyFree',
  AnonHugePages: 'anonHugePages',
  ShmemPmdMapped: 'shmemHugePages',
  FilePmdMapped: 'fileHugePages',
  Shared_Hugetlb: 'sharedHugetlb',
  Private_Hugetlb: 'privateHugetlb',
  Swap: 'swap',
  SwapPss: 'swapPss',
  /** The lock's share of this process, not the locked bytes: divided among those who map them. */
  Locked: 'lockedShare',
} as const;

/** The quantities of smaps; all in bytes, and each absent where the kernel does not tell it. */
export type SmapsQuantities = {
  readonly [Name in (typeof quantities)[keyof typeof quantities]]?: number;
};

/** A mapping with what it has in memory. */
export interface SmapsEntry extends MapEntry, SmapsQuantities {
  /** The two-letter flags of VmFlags; absent before Linux 3.8. {@link vmFlags} has their meaning. */
  readonly flags?: readonly string[];
  /** Whether transparent huge pages may be used here; absent before Linux 5.0. */
  readonly hugeEligible?: boolean;
  /** The protection key; absent without such. */
  readonly protectionKey?: number;
}

/** VmFlags in words (Documentation/filesystems/proc.rst). */
export const vmFlags: Readonly<Record<string, string>> = {
  rd: 'readable',
  wr: 'writable',
  ex: 'executable',
  sh: 'shared',
  mr: 'may become readable',
  mw: 'may become writable',
  me: 'may become executable',
  ms: 'may be shared',
  gd: 'stack, grows down',
  pf: 'pure frame numbers',
  dw: 'disabled write to the file',
  lo: 'locked in memory',
  lf: 'locked when it comes in',
  io: 'memory of a device',
  sr: 'read in sequence',
  rr: 'read at random',
  dc: 'not inherited by fork',
  de: 'may not be expanded',
  ac: 'counted against the commit limit',
  nr: 'nothing reserved for it',
  ht: 'huge pages of the reserved pool',
  sf: 'faults are synchronous (MAP_SYNC)',
  nl: 'not linear',
  ar: 'for the architecture',
  wf: 'wiped on fork',
  dd: 'not in core dumps',
  sd: 'soft-dirty',
  mm: 'mixed pages',
  hg: 'transparent huge pages wanted',
  nh: 'no transparent huge pages',
  mg: 'may be merged with pages alike',
  bt: 'guarded by branch target identification',
  mt: 'memory tagging',
  um: 'missing pages watched by userfaultfd',
  uw: 'stores watched by userfaultfd',
  ui: 'minor faults watched by userfaultfd',
  ss: 'shadow stack',
  sl: 'sealed',
  dp: 'may be dropped by the kernel',
  gu: 'has guard pages',
};

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Of a process the mappings have few different flags: each text of them is taken apart once. */
type KnownFlags = Map<string, readonly string[]>;

function flagsIn(text: string, known: KnownFlags): readonly string[] {
  let flags = known.get(text);
  if (!flags) {
    flags = text.split(/\s+/).filter(Boolean);
    known.set(text, flags);
  }
  return flags;
}

/** What is neither a quantity nor flags. */
const others: Readonly<Record<string, (entry: Mutable<SmapsEntry>, value: string) => void>> = {
  THPeligible: (entry, value) => {
    entry.hugeEligible = value === '1';
  },
  ProtectionKey: (entry, value) => {
    entry.protectionKey = Number(value);
  },
  // Android's kernels before 5.17 gave the name of anonymous memory on a line of its own.
  Name: (entry, value) => {
    if (entry.name !== null || value === '') return;
    entry.name = value;
    entry.kind = 'anonymous';
  },
};

/** What the quantities and flags tell that a name does not. */
function refineKind(entry: Mutable<SmapsEntry>): void {
  const { kind, flags, rss } = entry;
  if (flags?.includes('ht')) entry.kind = 'hugetlb';
  else if (flags?.includes('ss')) entry.kind = 'stack';
  // Memory that was in use before its rights were taken is more than a reserve.
  else if (kind === 'reserve' && rss !== undefined && rss > 0) entry.kind = 'anonymous';
}

const [digitZero, digitNine, space, letterB, capitalA, capitalZ] = [
  48, 57, 32, 66, 65, 90,
] as const;

/** The number in `text` from `start` to `end`, in bytes where `kB` follows it; -1: there is none. */
function numberIn(text: string, start: number, end: number): number {
  let at = start;
  while (at < end && text.charCodeAt(at) === space) at++;
  let value = 0;
  const first = at;
  for (; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code < digitZero || code > digitNine) break;
    value = value * 10 + (code - digitZero);
  }
  if (at === first) return -1;
  if (at === end) return value;
  return at === end - 3 && text.charCodeAt(end - 1) === letterB ? value * 1024 : -1;
}

/** A line as the mapping before had it. */
interface Line {
  /** With its colon. */
  readonly field: string;
  /** `undefined`: it is something else. */
  readonly quantity: keyof SmapsQuantities | undefined;
}

const quantityNames: Readonly<Record<string, keyof SmapsQuantities>> = quantities;

/**
 * Reads the lines below the headers. A process may have a million of them, and all of its mappings
 * have the same ones in the same order: so the line of the mapping before says which field comes.
 */
class FieldReader {
  readonly #text: string;
  readonly #lines: Line[] = [];
  readonly #flags: KnownFlags = new Map();
  #next = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** A new mapping begins. */
  restart(): void {
    this.#next = 0;
  }

  read(entry: Mutable<SmapsEntry>, start: number, end: number): void {
    const line = this.#lineAt(start, end);
    if (!line) return;
    const { field, quantity } = line;
    const from = start + field.length;
    if (quantity !== undefined) {
      const value = numberIn(this.#text, from, end);
      if (value >= 0) entry[quantity] = value;
      return;
    }
    const value = this.#text.slice(from, end).trim();
    const name = field.slice(0, -1);
    if (name === 'VmFlags') entry.flags = flagsIn(value, this.#flags);
    else if (Object.hasOwn(others, name)) others[name]?.(entry, value);
  }

  #lineAt(start: number, end: number): Line | undefined {
    const expected = this.#lines[this.#next];
    if (expected && this.#text.startsWith(expected.field, start)) {
      this.#next++;
      return expected;
    }
    const colon = this.#text.indexOf(':', start);
    if (colon < 0 || colon >= end) return undefined;
    const name = this.#text.slice(start, colon);
    const quantity = Object.hasOwn(quantityNames, name) ? quantityNames[name] : undefined;
    const line = { field: `${name}:`, quantity };
    this.#lines[this.#next++] = line;
    return line;
  }
}

/** Reads the whole text. */
export function parseSmaps(text: string): SmapsEntry[] {
  const entries: Mutable<SmapsEntry>[] = [];
  const fields = new FieldReader(text);
  let entry: Mutable<SmapsEntry> | undefined;
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    const code = text.charCodeAt(start);
    // Headers begin with a digit or a small letter, fields with a capital.
    if (code >= capitalA && code <= capitalZ) {
      if (entry) fields.read(entry, start, end);
    } else {
      const next = parseMapLine(text.slice(start, end));
      if (next) {
        entry = next;
        entries.push(entry);
        fields.restart();
      }
    }
    start = end + 1;
  }
  for (const one of entries) refineKind(one);
  return entries;
}

/** Reads smaps_rollup: the sums over all mappings of a process. */
export function parseSmapsRollup(text: string): SmapsQuantities {
  return pick(fieldsOf(text), quantities);
}
