/**
 * Pictures of pages: a character for each page, or for several that are shown together.
 *
 * What is in memory is told from page tables, which is not the page cache: a page of a file may be
 * in memory without this process having it in its table.
 */
import {
  decodePageEntry,
  type PageRun,
  readPageEntries,
  type SmapsEntry,
  scanPages,
} from '../inspect/index.ts';

/** What a page is; the later ones win where a character stands for several pages. */
const characters = ['.', 'z', 'F', 'A', 'H', 'G', 'S'] as const;
export type PageCharacter = (typeof characters)[number];

export const pageLegend =
  'A anonymous, F of a file or shared, H huge, S swapped, G guard, z page of zeros, . not there';

function characterOf(run: PageRun): PageCharacter {
  if (run.guard) return 'G';
  if (run.swapped) return 'S';
  if (run.huge) return 'H';
  if (run.zero) return 'z';
  if (!run.present) return '.';
  return run.file ? 'F' : 'A';
}

const entriesPerRead = 2 ** 16;

/** The same from pagemap, for kernels without PAGEMAP_SCAN; huge pages look like small ones. */
function* runsFromEntries(pid: number, entry: SmapsEntry, pageSize: bigint): Generator<PageRun> {
  for (let at = entry.start; at < entry.end; at += BigInt(entriesPerRead) * pageSize) {
    const left = Number((entry.end - at) / pageSize);
    const raws = readPageEntries(pid, at, Math.min(left, entriesPerRead));
    for (const [index, raw] of raws.entries()) {
      const { present, swapped, file, guard } = decodePageEntry(raw);
      if (!present && !swapped && !guard) continue;
      const start = at + BigInt(index) * pageSize;
      const common = { huge: false, zero: false, written: null };
      yield { start, end: start + pageSize, present, swapped, file, guard, ...common };
    }
  }
}

function runsOf(pid: number, entry: SmapsEntry, pageSize: number): Iterable<PageRun> {
  try {
    return scanPages(pid, { start: entry.start, end: entry.end });
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_MEMMAP_UNSUPPORTED') throw error;
    return runsFromEntries(pid, entry, BigInt(pageSize));
  }
}

/** A picture of a mapping. */
export interface PagePicture {
  readonly characters: readonly PageCharacter[];
  /** How many pages a character stands for. */
  readonly pagesEach: number;
}

/** Draws a mapping with so many characters at most. */
export function drawPages(
  pid: number,
  entry: SmapsEntry,
  { most, pageSize }: { most: number; pageSize: number },
): PagePicture {
  const pages = entry.length / pageSize;
  const pagesEach = Math.max(1, Math.ceil(pages / most));
  const ranks = new Uint8Array(Math.ceil(pages / pagesEach));
  for (const run of runsOf(pid, entry, pageSize)) {
    const rank = characters.indexOf(characterOf(run));
    const page = (address: bigint) => Number((address - entry.start) / BigInt(pageSize));
    const first = Math.floor(page(run.start) / pagesEach);
    const last = Math.ceil(page(run.end) / pagesEach);
    for (let cell = first; cell < last; cell++) {
      if (rank > (ranks[cell] as number)) ranks[cell] = rank;
    }
  }
  return { characters: Array.from(ranks, (rank) => characters[rank] as PageCharacter), pagesEach };
}
