/**
 * From an address of a process to the page under it: the way through the tables, the entry, the
 * frame, and what the kernel says of the frame. What it does not say is named, and `null`.
 */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { native, PageCategory } from '../binding/native.ts';
import { decodePageFlags, type PageFlag } from '../core/pageflags.ts';
import { decodePageEntry, type PageEntry, pageEntryBytes } from '../core/pagemap.ts';
import {
  type AddressHalf,
  addressBits,
  addressHalf,
  type PageTableShape,
  type PageWalk,
  pageTableShape,
  walk,
} from '../core/pagetable.ts';
import { type Unknown, unknown } from '../core/unknown.ts';

/** What is known of the page under an address. */
export interface Translation {
  readonly pid: number | 'self';
  readonly address: bigint;
  /** How many tables an address is led through here; `null`: unknown for this architecture. */
  readonly levels: number | null;
  /**
   * The way through the tables, down to the page itself; `null` with `levels`, and where no table
   * leads, as the upper bits of the address are not alike.
   */
  readonly walk: PageWalk | null;
  /** The entry of the page as /proc/PID/pagemap shows it; `null`: not permitted, or none. */
  readonly entry: PageEntry | null;
  /** The number of the frame of the system's (small) page that holds the address. */
  readonly frame: bigint | null;
  /** Where the byte is in the memory of the machine. */
  readonly physicalAddress: bigint | null;
  /** How many page tables map the frame. */
  readonly mapcount: number | null;
  /** What the kernel notes of the frame. */
  readonly flags: readonly PageFlag[] | null;
  /** What is missing above, and why. */
  readonly unknown: readonly Unknown[];
}

/** What the caller knows of the mapping around the address. */
export interface Surroundings {
  /** Bytes of its pages where it is of a reserved pool (hugetlb). */
  hugetlbBytes?: number | undefined;
  /** Whether it has huge pages anywhere; for kernels that do not tell of each page. */
  mayBeHuge?: boolean | undefined;
}

type Answer<T> = { value: T } | { code: string };

function attempt<T>(work: () => T): Answer<T> {
  try {
    return { value: work() };
  } catch (error) {
    return { code: (error as NodeJS.ErrnoException).code ?? 'EIO' };
  }
}

/** Eight bytes of a file of the kernel's, at an index of them; `undefined` behind its end. */
function readWord(path: string, index: bigint): Answer<bigint | undefined> {
  return attempt(() => {
    const fd = openSync(path, 'r');
    try {
      const word = Buffer.alloc(pageEntryBytes);
      const bytes = readSync(fd, word, 0, word.length, index * BigInt(pageEntryBytes));
      return bytes === word.length ? word.readBigUInt64LE() : undefined;
    } finally {
      closeSync(fd);
    }
  });
}

/** The highest address that is mapped, without the pages of the kernel in the upper half. */
function highestAddress(pids: Iterable<number | 'self'>): bigint {
  let highest = 0n;
  for (const pid of pids) {
    const read = attempt(() => readFileSync(`/proc/${pid}/maps`, 'latin1'));
    if (!('value' in read)) continue; // it may not be looked at
    for (const [, end] of read.value.matchAll(/^[0-9a-f]+-([0-9a-f]+) /gm)) {
      const last = BigInt(`0x${end}`) - 1n;
      if (last >> 63n === 0n && last > highest) highest = last;
    }
  }
  return highest;
}

let cpuinfo: string | null | undefined;

/** The tables of the system, to which the own mappings speak where those of a process are closed. */
export function pageTables(pid: number | 'self'): PageTableShape | null {
  if (cpuinfo === undefined) {
    const read = attempt(() => readFileSync('/proc/cpuinfo', 'latin1'));
    cpuinfo = 'value' in read ? read.value : null;
  }
  const bits = addressBits({
    architecture: process.arch,
    cpuinfo,
    highestAddress: highestAddress(new Set(['self', pid])),
  });
  return bits === null ? null : pageTableShape(native.pageBytes, bits);
}

/** What PAGEMAP_SCAN says of one page; `undefined`: the kernel cannot, or may not tell. */
function categoriesOf(pid: number | 'self', address: bigint): number | undefined {
  const page = BigInt(native.pageBytes);
  const start = address - (address % page);
  const all = BigInt(PageCategory.huge | PageCategory.present | PageCategory.swapped);
  const scan = new BigUint64Array([start, start + page, 0n, 0n, 0n, all, 0n]);
  const runs = new BigUint64Array(3);
  const found = attempt(() => {
    const fd = openSync(`/proc/${pid}/pagemap`, 'r');
    try {
      return native.scanPages(fd, scan, runs);
    } finally {
      closeSync(fd);
    }
  });
  if (!('value' in found)) return undefined;
  return found.value === 0 ? 0 : Number(runs[2]);
}

/** Bytes of the page that holds the address; `undefined`: it may be a huge one. */
function pageBytesAt(
  pid: number | 'self',
  address: bigint,
  surroundings: Surroundings,
): number | undefined {
  const small = native.pageBytes;
  if (surroundings.hugetlbBytes !== undefined) return surroundings.hugetlbBytes;
  const categories = categoriesOf(pid, address);
  // A transparent huge page is one entry of the PMD: a table full of small pages.
  if (categories !== undefined) {
    return categories & PageCategory.huge ? (small * small) / pageEntryBytes : small;
  }
  return surroundings.mayBeHuge === false ? small : undefined;
}

const frameHint = 'run as root: CAP_SYS_ADMIN shows frames';

function readEntry(pid: number | 'self', address: bigint, gaps: Unknown[]): PageEntry | null {
  const read = readWord(`/proc/${pid}/pagemap`, address / BigInt(native.pageBytes));
  if ('code' in read) {
    // The kernel's answer for a process without memory of its own, on whatever it has been asked.
    const isEmpty = read.code === 'ESRCH';
    const why = isEmpty
      ? 'there is no page table: it is a thread of the kernel, or has ended (ESRCH)'
      : `the page table may not be read (${read.code})`;
    const hint = isEmpty ? null : 'run as the user of the process, or with CAP_SYS_PTRACE';
    gaps.push(unknown('entry', why, hint));
    return null;
  }
  if (read.value === undefined) {
    gaps.push(unknown('entry', 'it is above the addresses that programs may have'));
    return null;
  }
  const entry = decodePageEntry(read.value);
  if (entry.present && entry.frame === null) {
    gaps.push(unknown('frame', 'the kernel hides frame numbers from this user', frameHint));
  }
  return entry;
}

function readFrameFacts(frame: bigint, gaps: Unknown[]) {
  const read = (name: string, what: string) => {
    const word = readWord(`/proc/${name}`, frame);
    if ('value' in word && word.value !== undefined) return word.value;
    const why = 'code' in word ? word.code : 'the frame is not ordinary memory';
    const hint = 'code' in word && word.code !== 'ENOENT' ? 'run as root' : null;
    gaps.push(unknown(what, `/proc/${name} may not be read (${why})`, hint));
    return null;
  };
  const count = read('kpagecount', 'mapcount');
  const flags = read('kpageflags', 'flags');
  return {
    mapcount: count === null ? null : Number(count),
    flags: flags === null ? null : decodePageFlags(flags),
  };
}

/** Why there is no entry of a program's under an address; `null`: there may be one. */
function strangeness(half: AddressHalf | null, shape: PageTableShape): string | null {
  if (half === 'kernel') return 'the address belongs to the kernel, whose tables are not shown';
  if (half === 'program') return null;
  return `it is no address of a ${shape.levels.length}-level page table: its upper bits are not alike`;
}

/** Translates an address; it need not belong to any mapping. */
export function translateAddress(
  pid: number | 'self',
  address: bigint,
  surroundings: Surroundings = {},
): Translation {
  const gaps: Unknown[] = [];
  const shape = pageTables(pid);
  if (!shape) gaps.push(unknown('walk', `the tables of ${process.arch} are not known here`));
  const half = shape && addressHalf(address, process.arch, shape.addressBits);
  const strange = shape && strangeness(half, shape);
  if (strange) gaps.push(unknown('entry', strange));
  const entry = strange ? null : readEntry(pid, address, gaps);
  const pageBytes = pageBytesAt(pid, address, surroundings);
  const leads = shape !== null && half !== null;
  if (pageBytes === undefined && leads) {
    const why =
      'this kernel does not tell whether the page is huge; the walk is that of a small one';
    gaps.push(unknown('page size', why, 'Linux 6.7 has PAGEMAP_SCAN'));
  }
  const frame = entry?.frame ?? null;
  const facts = frame === null ? { mapcount: null, flags: null } : readFrameFacts(frame, gaps);
  const small = BigInt(native.pageBytes);
  return {
    pid,
    address,
    levels: shape?.levels.length ?? null,
    walk: leads ? walk(shape, address, pageBytes ?? native.pageBytes) : null,
    entry,
    frame,
    physicalAddress: frame === null ? null : frame * small + (address % small),
    ...facts,
    unknown: gaps,
  };
}
