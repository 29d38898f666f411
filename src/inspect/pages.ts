/**
 * The pages of a process: entries, runs of pages alike, and what two processes share.
 */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import { type NativeFailure, native, PageCategory } from '../binding/native.ts';
import { invalidArgument, MemmapError, outOfRange, unsupported } from '../core/errors.ts';
import { decodePageEntry, pageEntryBytes } from '../core/pagemap.ts';
import { integer } from '../core/validate.ts';
import { checkProcess, type ProcessId, refusedProcess } from './proc.ts';

/** Pages that lie side by side and are alike. */
export interface PageRun {
  /** Addresses, of whole pages. */
  readonly start: bigint;
  readonly end: bigint;
  readonly present: boolean;
  readonly swapped: boolean;
  /** Of a file or shared memory. */
  readonly file: boolean;
  /** Mapped as a huge page. */
  readonly huge: boolean;
  /** The page of zeros that all reads of untouched memory share. */
  readonly zero: boolean;
  readonly guard: boolean;
  /** Stored to since it was watched; `null`: nobody watches, and the kernel would say yes to all. */
  readonly written: boolean | null;
}

/** Whole pages of an address space. */
export interface AddressRange {
  /** Address of a page. */
  readonly start: bigint;
  /** Address behind the last page. */
  readonly end: bigint;
}

function checkAddresses(range: unknown): asserts range is AddressRange {
  const { start, end } = (range ?? {}) as Record<string, unknown>;
  const page = BigInt(native.pageBytes);
  for (const [name, value] of Object.entries({ start, end })) {
    if (typeof value !== 'bigint') throw invalidArgument(`range.${name}`, 'of type bigint', value);
    if (value < 0n || value % page !== 0n || value >> 64n !== 0n) {
      throw outOfRange(`range.${name}`, `the address of a page of ${page} bytes`, value);
    }
  }
  if ((start as bigint) > (end as bigint)) throw outOfRange('range.end', '>= range.start', end);
}

function withPagemap<T>(pid: ProcessId, work: (fd: number) => T): T {
  let fd: number;
  try {
    fd = openSync(`/proc/${pid}/pagemap`, 'r');
  } catch (error) {
    throw refusedProcess(error, pid, 'pagemap');
  }
  try {
    return work(fd);
  } finally {
    closeSync(fd);
  }
}

/** The most entries that are read at once: 32 MiB of them. */
const maximumEntries = 2 ** 22;

/**
 * The raw entries of `pages` pages from an address on; take them apart with `decodePageEntry`.
 * Fewer at the end of the address space.
 * @throws MemmapError ESRCH, EACCES.
 */
export function readPageEntries(pid: ProcessId, start: bigint, pages: number): BigUint64Array {
  checkProcess(pid);
  integer('pages', pages, 0, maximumEntries);
  checkAddresses({ start, end: start });
  return withPagemap(pid, (fd) => {
    const entries = new BigUint64Array(pages);
    const bytes = Buffer.from(entries.buffer);
    const first = (start / BigInt(native.pageBytes)) * BigInt(pageEntryBytes);
    let done = 0;
    while (done < bytes.length) {
      const read = readSync(fd, bytes, done, bytes.length - done, first + BigInt(done));
      if (read === 0) break;
      done += read;
    }
    return entries.subarray(0, done / pageEntryBytes);
  });
}

const wordsPerRun = 3;
const runsPerCall = 1024;

/** Whether pages can be out at all; where it cannot be read, they can. */
function hasSwap(): boolean {
  try {
    return readFileSync('/proc/swaps', 'utf8').trimEnd().split('\n').length > 1;
  } catch {
    return true;
  }
}

function runFrom(start: bigint, end: bigint, categories: number, isSwapOn: boolean): PageRun {
  const has = (name: keyof typeof PageCategory) => (categories & PageCategory[name]) !== 0;
  // Pages that are watched and were never touched have a marker, which reads as swapped.
  const isMarker = has('watched') && !has('written') && !isSwapOn;
  return {
    start,
    end,
    present: has('present'),
    // The kernel marks a guard page as swapped.
    swapped: has('swapped') && !has('guard') && !isMarker,
    file: has('file'),
    huge: has('huge'),
    zero: has('zero'),
    guard: has('guard'),
    written: has('watched') ? has('written') : null,
  };
}

/**
 * What the page tables say of a range, in runs of pages alike; pages that nothing is known of (not
 * mapped, never touched) are in no run. 3 ms for 4 GiB in memory.
 * @throws MemmapError ESRCH, EACCES; ERR_MEMMAP_UNSUPPORTED before Linux 6.7, where
 * {@link readPageEntries} tells most of it.
 */
export function scanPages(pid: ProcessId, range: AddressRange): PageRun[] {
  checkProcess(pid);
  checkAddresses(range);
  const wanted = BigInt(Object.values(PageCategory).reduce((bits, bit) => bits | bit, 0));
  const some = BigInt(PageCategory.present | PageCategory.swapped | PageCategory.guard);
  return withPagemap(pid, (fd) => {
    const found: PageRun[] = [];
    const isSwapOn = hasSwap();
    const runs = new BigUint64Array(wordsPerRun * runsPerCall);
    for (let at = range.start; at < range.end; ) {
      const scan = new BigUint64Array([at, range.end, 0n, 0n, some, wanted, 0n]);
      const count = scanOnce(fd, scan, runs);
      for (let run = 0; run < count; run++) {
        const [start, end, categories] = runs.subarray(wordsPerRun * run);
        found.push(runFrom(start as bigint, end as bigint, Number(categories), isSwapOn));
      }
      const next = scan[6] as bigint;
      if (next <= at) break;
      at = next;
    }
    return found;
  });
}

function scanOnce(fd: number, scan: BigUint64Array, runs: BigUint64Array): number {
  try {
    return native.scanPages(fd, scan, runs);
  } catch (error) {
    const { errno, syscall } = error as NativeFailure;
    const code = getSystemErrorName(errno);
    if (code !== 'ENOTTY' && code !== 'EINVAL') {
      const message = `Cannot scan pages: ${code} (${syscall})`;
      throw new MemmapError(code, message, { errno, syscall });
    }
    const hint = 'Linux 6.7 has PAGEMAP_SCAN; readPageEntries works everywhere';
    throw unsupported('scan pages', `the kernel answers ${code}`, { cause: error, hint });
  }
}

/** How a page of two processes compares. */
export type PageComparison = 'same' | 'split' | 'only left' | 'only right' | 'neither';

/** The answer of {@link comparePages}. */
export interface PagesCompared {
  /** One a page. */
  readonly pages: readonly PageComparison[];
  /**
   * `'frame'`: by frame numbers, exact. `'exclusive'`: by whether a page is mapped by one process
   * alone, for those who may not see frames: pages that both share with others look the same.
   */
  readonly by: 'frame' | 'exclusive';
}

/**
 * Which pages two processes still share, as after fork: `'split'` pages were copied on a write.
 * @throws MemmapError ESRCH, EACCES.
 */
export function comparePages(
  left: ProcessId,
  right: ProcessId,
  range: AddressRange,
): PagesCompared {
  checkAddresses(range);
  const count = Number((range.end - range.start) / BigInt(native.pageBytes));
  const [ours, theirs] = [left, right].map((pid) =>
    Array.from(readPageEntries(pid, range.start, count), decodePageEntry),
  ) as [ReturnType<typeof decodePageEntry>[], ReturnType<typeof decodePageEntry>[]];
  const by = [...ours, ...theirs].some((entry) => entry.frame !== null) ? 'frame' : 'exclusive';
  const pages = ours.map((a, index): PageComparison => {
    const b = theirs[index];
    if (!a.present) return b?.present ? 'only right' : 'neither';
    if (!b?.present) return 'only left';
    const isSame = by === 'frame' ? a.frame === b.frame : !a.exclusive && !b.exclusive;
    return isSame ? 'same' : 'split';
  });
  return { pages, by };
}
