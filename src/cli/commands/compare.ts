/**
 * `memmap compare`: which pages two processes share, and which were copied.
 */
import type { Command } from 'commander';
import { pageSize } from '../../index.ts';
import {
  comparePages,
  type MapEntry,
  type PageComparison,
  type PageRun,
  readMaps,
  scanPages,
} from '../../inspect/index.ts';
import { mappingName } from '../account.ts';
import type { CommandModule, Invocation } from '../command.ts';
import { usage } from '../errors.ts';
import { Exit } from '../exit.ts';
import { size } from '../format.ts';
import { interruptible } from '../interrupt.ts';
import type { Output } from '../output.ts';
import { nameOf, processOf } from '../processes.ts';
import type { Column } from '../table.ts';

interface CompareOptions {
  map?: boolean;
  all?: boolean;
}

function configure(command: Command): void {
  command
    .argument('<left>', 'a process: its number, or the name of its command')
    .argument('<right>', 'another, as a rule its child')
    .description(
      `Which pages of the mappings that two processes have alike are the same frame, and which were
copied on a write ("split"). Frames are shown to root; without, the bit that says "mapped by one
process alone" decides, and pages that both share with others look the same.`,
    )
    .option('--map', 'a map of the pages of each mapping')
    .option('--all', 'also mappings without a page in memory');
}

const names = ['same', 'split', 'only left', 'only right', 'neither'] as const;
const characters: Record<PageComparison, string> = {
  same: '=',
  split: '|',
  'only left': '<',
  'only right': '>',
  neither: '.',
};

interface Compared {
  entry: MapEntry;
  counts: Record<PageComparison, number>;
  by: 'frame' | 'exclusive';
  /** Pages in the order of addresses, for a picture; empty for mappings too large to be drawn. */
  pages: PageComparison[];
}

/** Mappings that both have at the same addresses. */
function common(left: number, right: number): MapEntry[] {
  const theirs = new Map(readMaps(right).map((entry) => [entry.start, entry]));
  return readMaps(left).filter((entry) => {
    const other = theirs.get(entry.start);
    return other?.end === entry.end && other.name === entry.name && entry.kind !== 'kernel';
  });
}

/** Runs of pages that one of both has, so that the rest need not be looked at. */
function touched(pids: readonly number[], entry: MapEntry): { start: bigint; end: bigint }[] {
  const range = { start: entry.start, end: entry.end };
  let runs: PageRun[];
  try {
    runs = pids.flatMap((pid) => scanPages(pid, range));
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_MEMMAP_UNSUPPORTED') throw error;
    return [range];
  }
  const merged: { start: bigint; end: bigint }[] = [];
  for (const { start, end } of runs.sort((a, b) => (a.start < b.start ? -1 : 1))) {
    const last = merged.at(-1);
    if (!last || start > last.end) merged.push({ start, end });
    else if (end > last.end) last.end = end;
  }
  return merged;
}

const pagesPerLook = 2n ** 16n;
const drawnPages = 2 ** 14;

function compareMapping(left: number, right: number, entry: MapEntry): Compared {
  const counts = Object.fromEntries(names.map((name) => [name, 0])) as Compared['counts'];
  const total = entry.length / pageSize;
  const pages: PageComparison[] =
    total <= drawnPages ? new Array<PageComparison>(total).fill('neither') : [];
  let by: Compared['by'] = 'frame';
  let seen = 0;
  const step = pagesPerLook * BigInt(pageSize);
  for (const { start, end } of touched([left, right], entry)) {
    for (let at = start; at < end; at += step) {
      const range = { start: at, end: at + step < end ? at + step : end };
      const found = comparePages(left, right, range);
      const first = Number((at - entry.start) / BigInt(pageSize));
      for (const [index, page] of found.pages.entries()) {
        counts[page]++;
        if (pages.length > 0) pages[first + index] = page;
      }
      if (found.by === 'exclusive' && found.pages.some((page) => page !== 'neither')) by = found.by;
      seen += found.pages.length;
    }
  }
  counts.neither += total - seen;
  return { entry, counts, by, pages };
}

const hasPages = ({ counts }: Compared) =>
  names.some((name) => name !== 'neither' && counts[name] > 0);

function columnsFor(): Column<Compared>[] {
  return [
    { label: 'ADDRESS', text: ({ entry }) => entry.start.toString(16) },
    { label: 'PERM', text: ({ entry }) => entry.permissions },
    {
      label: 'SIZE',
      text: ({ entry }) => size(entry.length),
      plain: ({ entry }) => entry.length,
    },
    ...names.map(
      (name): Column<Compared> => ({
        label: name.toUpperCase(),
        text: ({ counts }) => String(counts[name]),
        style: ({ counts }) => (name === 'split' && counts[name] > 0 ? 'yellow' : undefined),
      }),
    ),
    { label: 'NAME', align: 'left', text: ({ entry }) => mappingName(entry) },
  ];
}

function showMaps(compared: readonly Compared[], out: Output): void {
  const perLine = Math.min(100, out.width) - 4;
  out.text('', '= same frame, | split by a write, < only left, > only right, . neither');
  for (const { entry, pages } of compared) {
    out.text('', `${entry.start.toString(16)} ${entry.permissions} ${mappingName(entry)}`);
    if (pages.length === 0) out.text('  too large for a map');
    const text = pages.map((page) => characters[page]).join('');
    for (let at = 0; at < text.length; at += perLine) out.text(`  ${text.slice(at, at + perLine)}`);
  }
}

function sums(compared: readonly Compared[]): Compared['counts'] {
  return Object.fromEntries(
    names.map((name) => [name, compared.reduce((sum, { counts }) => sum + counts[name], 0)]),
  ) as Compared['counts'];
}

function record({ entry, counts, by, pages }: Compared, { map }: CompareOptions) {
  const { start, end, permissions, kind, name } = entry;
  return {
    start,
    end,
    permissions,
    kind,
    name,
    by,
    same: counts.same,
    split: counts.split,
    onlyLeft: counts['only left'],
    onlyRight: counts['only right'],
    neither: counts.neither,
    pages: map && pages.length > 0 ? pages.map((page) => characters[page]).join('') : null,
  };
}

async function run({ args, options, out }: Invocation<CompareOptions>): Promise<number> {
  const [left, right] = args.map(processOf) as [number, number];
  if (left === right) throw usage('they are one process');
  return interruptible(async ({ signal }) => {
    const entries = common(left, right);
    const all: Compared[] = [];
    for (const [index, entry] of entries.entries()) {
      if (signal.aborted) break;
      if (index % 32 === 0) {
        out.status(`${index} of ${entries.length} mappings`);
        await new Promise((resolve) => setImmediate(resolve));
      }
      all.push(compareMapping(left, right, entry));
    }
    out.status('');
    show(left, right, all, options, out);
    return Exit.ok;
  });
}

function show(
  left: number,
  right: number,
  all: readonly Compared[],
  options: CompareOptions,
  out: Output,
): void {
  const compared = options.all ? all : all.filter(hasPages);
  const by = compared.some((one) => one.by === 'exclusive') ? 'exclusive' : 'frame';
  const total = sums(compared);
  out.text(out.paint('bold', `${nameOf(left)} and ${nameOf(right)}`));
  out.table(columnsFor(), compared);
  if (options.map) showMaps(compared, out);
  out.text(
    '',
    `${all.length} mappings alike: ${size(total.same * pageSize)} the same, ` +
      `${size(total.split * pageSize)} copied`,
  );
  out.document({
    left,
    right,
    pageSize,
    by,
    mappings: compared.map((one) => record(one, options)),
    total: {
      same: total.same,
      split: total.split,
      onlyLeft: total['only left'],
      onlyRight: total['only right'],
      neither: total.neither,
    },
  });
  if (by === 'exclusive') {
    out.warn('frames are hidden: told by whether a page is mapped by one process alone');
    out.hint('run as root: CAP_SYS_ADMIN shows frames');
  }
}

export const compare: CommandModule = {
  configure,
  modes: ['json', 'plain'],
  examples: [
    ['memmap compare 4711 4712', 'a parent and its child'],
    ['memmap compare --map 4711 4712', 'page by page'],
  ],
  run,
};
