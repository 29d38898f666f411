/**
 * Which parts of a file are in the page cache, dirty, or on their way to the disk.
 *
 * cachestat(2) tells the truth or refuses; mincore(2) says "all in memory" to users who neither own
 * nor may write the file, and then nothing is said here.
 */
import { getSystemErrorName } from 'node:util';
import { type NativeFailure, native } from '../binding/native.ts';
import { MemmapError, outOfRange } from '../core/errors.ts';
import { roundDown, roundUp } from '../core/page.ts';
import { type Range, readRange, within } from '../core/range.ts';
import { type Unknown, unknown } from '../core/unknown.ts';
import { integer, object, oneOf } from '../core/validate.ts';
import { map } from '../mapping/map.ts';
import type { FileLike } from '../mapping/options.ts';
import { type OpenFile, withFile } from './file.ts';

/** The system call that answers; `'stat'` for a hugetlbfs, whose blocks are pages in memory. */
export type ResidencySource = 'cachestat' | 'mincore' | 'stat';

export interface ResidencyOptions {
  /** A part of the file in bytes; rounded outwards to pages. Default: all of it. */
  range?: Range | undefined;
  /** Into how many parts of about the same size it is divided. Default 0: no parts. */
  cells?: number | undefined;
  /** Default: cachestat, and mincore where the kernel or the file system has it not. */
  source?: 'cachestat' | 'mincore' | undefined;
}

/** Counts of pages; `null`: unknown, which is never 0. */
export interface CacheCounts {
  /** Pages of the range. */
  readonly pages: number;
  /** In memory, whether or not any process maps them. */
  readonly cached: number | null;
  /**
   * Changed since they were last written to disk. Kept per folio, a block of pages: one byte stored
   * can make 256 pages dirty. Always 0 for memory objects.
   */
  readonly dirty: number | null;
  /** On their way to the disk now. */
  readonly writeback: number | null;
  /** Were in memory once; of memory objects: in swap. */
  readonly evicted: number | null;
  /** The same, so lately that bringing them back counts as pressure. */
  readonly recentlyEvicted: number | null;
}

/** A part of a file. */
export interface CacheCell extends CacheCounts {
  /** In bytes. */
  readonly offset: number;
  readonly length: number;
}

/** The answer of {@link residency}. */
export interface FileResidency extends CacheCounts {
  readonly path: string | null;
  readonly device: { readonly major: number; readonly minor: number };
  readonly inode: bigint;
  /** Bytes of the file. */
  readonly size: number;
  /** The range that was looked at, in bytes. */
  readonly offset: number;
  readonly length: number;
  /** Bytes of a page of this file: the huge page on a hugetlbfs. A short last page counts as one. */
  readonly pageSize: number;
  /** What answered; `null`: neither would tell. */
  readonly source: ResidencySource | null;
  readonly cells: readonly CacheCell[];
  readonly unknown: readonly Unknown[];
}

const countNames = ['cached', 'dirty', 'writeback', 'evicted', 'recentlyEvicted'] as const;
const maximumCells = 2 ** 20;

const notKnown: Omit<CacheCounts, 'pages'> = {
  cached: null,
  dirty: null,
  writeback: null,
  evicted: null,
  recentlyEvicted: null,
};

interface Question {
  offset: number;
  /** Up to the end of the file. */
  end: number;
  cells: number;
}

interface Answer {
  source: ResidencySource | null;
  pageSize: number;
  total: CacheCounts;
  cells: CacheCell[];
  unknown: Unknown[];
}

/** Cuts a range of whole pages into parts that differ by a page at most. */
function divide({ offset, end, cells }: Question, page: number): { from: number; to: number }[] {
  const pages = Math.ceil((end - offset) / page);
  const count = Math.min(cells, pages);
  const boundary = (index: number) => offset + Math.floor((pages * index) / count) * page;
  return Array.from({ length: count }, (_, index) => ({
    from: boundary(index),
    to: index + 1 === count ? end : boundary(index + 1),
  }));
}

function fromCachestat(fd: number, question: Question): Answer {
  const page = native.pageBytes;
  const answer = new Float64Array(countNames.length);
  const ask = (from: number, to: number): CacheCounts => {
    const pages = Math.ceil((to - from) / page);
    answer.fill(0);
    // A length of 0 would mean up to the end.
    if (pages > 0) native.cacheState(fd, from, pages * page, answer);
    const counts = countNames.map((name, index) => [name, answer[index]]);
    return { pages, ...(Object.fromEntries(counts) as Omit<CacheCounts, 'pages'>) };
  };
  const total = ask(question.offset, question.end);
  const cells = divide(question, page).map(({ from, to }) => ({
    offset: from,
    length: to - from,
    ...ask(from, to),
  }));
  return { source: 'cachestat', pageSize: page, total, cells, unknown: [] };
}

const hidden = unknown(
  'residency',
  'the kernel hides it from users who neither own nor may write the file',
  'run as root, or as the owner',
);

function refused(question: Question, reason: Unknown, pageSize = native.pageBytes): Answer {
  const pages = (from: number, to: number) => Math.ceil((to - from) / pageSize);
  const cells = divide(question, pageSize).map(({ from, to }) => ({
    offset: from,
    length: to - from,
    pages: pages(from, to),
    ...notKnown,
  }));
  const total = { pages: pages(question.offset, question.end), ...notKnown };
  return { source: null, pageSize, total, cells, unknown: [reason] };
}

const onlyCached = unknown(
  'dirty, writeback, evicted',
  'mincore tells only what is in memory',
  'Linux 6.5 has cachestat',
);
const onlyTotal = unknown(
  'dirty, writeback, evicted, parts',
  'a hugetlbfs tells only how many pages a whole file has',
);

/** mincore says of a hugetlbfs only what is in the page table of the mapping that asks. */
function fromBlocks(file: OpenFile, question: Question, pageSize: number): Answer {
  const isWhole = question.offset === 0 && question.end === file.size;
  const answer = refused(question, onlyTotal, pageSize);
  if (!isWhole) return answer;
  const total = { ...answer.total, cached: file.allocated / pageSize };
  return { ...answer, source: 'stat', total };
}

function fromMincore(file: OpenFile, question: Question): Answer {
  const { offset, end } = question;
  if (end === offset) return { ...refused(question, onlyCached), source: 'mincore' };
  using mapping = map(file.fd, { offset, length: end - offset });
  const { bitmap, pageSize } = mapping.residency();
  if (bitmap === null) return refused(question, hidden);
  const count = (from: number, to: number) => {
    let cached = 0;
    const first = (from - offset) / pageSize;
    const behind = Math.ceil((to - offset) / pageSize);
    for (let page = first; page < behind; page++) {
      cached += ((bitmap[page >>> 3] as number) >>> (page & 7)) & 1;
    }
    return { ...notKnown, pages: behind - first, cached };
  };
  const cells = divide(question, pageSize).map(({ from, to }) => ({
    offset: from,
    length: to - from,
    ...count(from, to),
  }));
  return { source: 'mincore', pageSize, total: count(offset, end), cells, unknown: [onlyCached] };
}

function answer(file: OpenFile, question: Question, source?: ResidencyOptions['source']): Answer {
  if (file.hugePageSize !== null) return fromBlocks(file, question, file.hugePageSize);
  if (source === 'mincore') return fromMincore(file, question);
  try {
    return fromCachestat(file.fd, question);
  } catch (error) {
    const { errno } = error as NativeFailure;
    if (typeof errno !== 'number') throw error;
    const code = getSystemErrorName(errno);
    if (code === 'EPERM') return refused(question, hidden);
    if (code === 'ENOSYS' && source === undefined) return fromMincore(file, question);
    if (code === 'ENOSYS')
      return refused(question, unknown('residency', `cachestat answers ${code}`));
    const message = `Cannot look at the residency of ${file.path}: ${code} (cachestat)`;
    throw new MemmapError(code, message, { errno, syscall: 'cachestat' });
  }
}

function questionFor(file: OpenFile, given: Range, cells: number): Question {
  const { offset, length } = within(given, file.size);
  const page = native.pageBytes;
  return {
    offset: roundDown(offset, page),
    end:
      length === 0 ? roundDown(offset, page) : Math.min(file.size, roundUp(offset + length, page)),
    cells,
  };
}

/**
 * What of a file is in memory. For a file of somebody else's that this user may not write, every
 * count is `null` and `unknown` says so: the kernel would call all of it resident.
 * @param file A path, a `file:` URL, a descriptor or a FileHandle.
 * @throws MemmapError ENOENT, EACCES, EISDIR, ENODEV (what has no page cache); RangeError.
 *
 * ```ts
 * const { cached, pages } = residency('data.bin');
 * ```
 */
export function residency(file: FileLike, options: ResidencyOptions = {}): FileResidency {
  object('options', options);
  const { cells = 0, source } = options;
  const given = readRange(options.range);
  integer('options.cells', cells, 0, maximumCells);
  if (source !== undefined) oneOf('options.source', source, ['cachestat', 'mincore']);
  return withFile(file, (opened) => {
    if (!Number.isSafeInteger(opened.size))
      throw outOfRange('file', '< 2 ** 53 bytes', opened.size);
    const question = questionFor(opened, given, cells);
    const found = answer(opened, question, source);
    return {
      path: opened.path,
      device: opened.device,
      inode: opened.inode,
      size: opened.size,
      offset: question.offset,
      length: question.end - question.offset,
      pageSize: found.pageSize,
      source: found.source,
      ...found.total,
      cells: found.cells,
      unknown: found.unknown,
    };
  });
}
