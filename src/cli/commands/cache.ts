/**
 * `memmap cache`: which parts of files are in memory.
 */
import type { Command } from 'commander';
import { type FileResidency, type Holders, holders } from '../../inspect/index.ts';
import { legend } from '../bar.ts';
import { type CommandModule, choice, type Invocation } from '../command.ts';
import { type Described, describeError, exitCodeFor } from '../errors.ts';
import { Exit } from '../exit.ts';
import { expand, operands } from '../files.ts';
import { formatPercent, printable, shellWord, shortenMiddle, size } from '../format.ts';
import { type Interruption, interruptible, pause } from '../interrupt.ts';
import type { Output } from '../output.ts';
import {
  bytesOf,
  failedRecord,
  fileRecord,
  lookAt,
  mappingRecords,
  type Quantity,
  residencyBar,
  residencyMap,
} from '../residency.ts';
import {
  type ByteRange,
  parseCells,
  parsePercent,
  parsePositive,
  parseRange,
  parseSeconds,
} from '../size.ts';
import type { Column } from '../table.ts';

interface CacheOptions {
  range?: ByteRange;
  width?: number;
  cells?: number;
  map?: boolean;
  dirty?: boolean;
  holders?: boolean;
  top?: number;
  recursive?: boolean;
  watch?: number;
  require?: number;
  source?: 'cachestat' | 'mincore';
  files0From?: string;
}

/** A file that was looked at, or why it was not. */
interface Looked {
  readonly path: string;
  readonly file: FileResidency | null;
  readonly holders: Holders | null;
  readonly error: Described | null;
  readonly exitCode: number;
}

const defaultBar = 32;
const narrowestBar = 8;
const mapCells = 512;

function configure(command: Command): void {
  command
    .argument('[files...]', 'files, and directories for the files in them')
    .description(
      `How much of each file is in memory (the page cache), what of it is dirty, and where.
A file whose owner is somebody else, and that you may not write, is '?': the kernel hides it.`,
    )
    .option('--range <range>', 'a part: 1M-2M, 1M+64k, 1M-', parseRange)
    .option('--width <n>', 'cells of the bar', parsePositive)
    .option('--cells <n>', 'parts that --map and --json divide a file into', parseCells)
    .option('--map', 'a map of each file under its line')
    .option('--dirty', 'bar and map show dirty pages')
    .option('--holders', 'which processes map the file')
    .option('--top <n>', 'only the files with most in memory', parsePositive)
    .option('-r, --recursive', 'enter directories in directories')
    .option(
      '--watch [seconds]',
      'again each second, or as --watch=5 says, until Ctrl-C',
      parseSeconds,
    )
    .option('--require <percent>', 'exit 1 when less of all is in memory', parsePercent)
    .addOption(choice('--source <call>', 'the system call that answers', ['cachestat', 'mincore']))
    .option('--files0-from <file>', 'names of files between zero bytes; - is stdin');
}

function look(path: string, options: CacheOptions, cells: number): Looked {
  const { range, source } = options;
  try {
    const file = lookAt(path, { range, source, cells });
    const exitCode = file.cached === null ? Exit.denied : Exit.ok;
    const found = options.holders ? holders(path) : null;
    return { path, file, holders: found, error: null, exitCode };
  } catch (error) {
    return failed(path, error);
  }
}

function failed(path: string, error: unknown): Looked {
  const exitCode = exitCodeFor(error);
  if (exitCode === null) throw error;
  return { path, file: null, holders: null, error: describeError(error), exitCode };
}

/** The sum over files; a file that has several names counts once. */
interface Total {
  files: number;
  pages: number;
  bytes: number;
  cached: number | null;
  dirty: number | null;
  cachedBytes: number | null;
}

const add = (a: number | null, b: number | null) => (a === null || b === null ? null : a + b);

function totalOf(all: readonly Looked[]): Total {
  const total: Total = { files: 0, pages: 0, bytes: 0, cached: 0, dirty: 0, cachedBytes: 0 };
  const seen = new Set<string>();
  for (const { file } of all) {
    if (!file) continue;
    const key = `${file.device.major}:${file.device.minor}:${file.inode}`;
    if (seen.has(key)) continue;
    seen.add(key);
    total.files++;
    total.pages += file.pages;
    total.bytes += file.length;
    total.cached = add(total.cached, file.cached);
    total.dirty = add(total.dirty, file.dirty);
    total.cachedBytes = add(total.cachedBytes, bytesOf(file.cached, file));
  }
  return total;
}

function columnsFor(options: CacheOptions, out: Output): Column<FileResidency>[] {
  const quantity: Quantity = options.dirty ? 'dirty' : 'cached';
  const isNarrow = out.mode === 'text' && out.isTerminal && out.width < narrow;
  const pagesColumn = (label: string, name: 'dirty' | 'writeback' | 'evicted') => ({
    label,
    text: (file: FileResidency) => size(bytesOf(file[name], file)),
    plain: (file: FileResidency) => bytesOf(file[name], file),
  });
  return [
    {
      label: 'RES',
      text: (file) => size(bytesOf(file.cached, file)),
      plain: (file) => bytesOf(file.cached, file),
    },
    { label: 'SIZE', text: (file) => size(file.length), plain: (file) => file.length },
    {
      label: '%',
      text: ({ cached, pages }) => (cached === null ? '?' : formatPercent(cached, pages)),
      plain: ({ cached, pages }) =>
        cached === null ? null : pages === 0 ? 0 : (100 * cached) / pages,
    },
    { ...pagesColumn('DIRTY', 'dirty'), style: (file) => (file.dirty ? 'yellow' : undefined) },
    ...(isNarrow ? [] : [pagesColumn('WB', 'writeback'), pagesColumn('EVICTED', 'evicted')]),
    {
      label: options.dirty ? 'DIRTY PAGES' : 'IN MEMORY',
      align: 'left',
      isPicture: true,
      text: (file) => residencyBar(file, quantity, out.ascii),
    },
    { label: 'FILE', align: 'left', text: (file) => nameFor(file, out) },
  ];
}

/** Terminals of fewer columns have a table of fewer. */
const narrow = 90;

/** What the columns of figures leave for bar and name. */
function roomIn(out: Output): number {
  return out.width - (out.width < narrow ? 30 : 45);
}

function nameFor({ path }: FileResidency, out: Output): string {
  const name = printable(path ?? '');
  if (!out.isTerminal) return name;
  return shortenMiddle(name, Math.max(16, roomIn(out) - narrowestBar - 4));
}

/** The bar has what names and figures leave on a terminal. */
function barCells({ width }: CacheOptions, out: Output, paths: readonly string[]): number {
  if (width !== undefined) return width;
  if (!out.isTerminal) return defaultBar;
  const longest = paths.reduce((most, path) => Math.max(most, printable(path).length), 4);
  return Math.max(narrowestBar, Math.min(60, roomIn(out) - longest - 4));
}

function cellsFor(options: CacheOptions, out: Output, paths: readonly string[]): number {
  if (out.mode === 'json' || out.mode === 'ndjson') return options.cells ?? 0;
  return barCells(options, out, paths);
}

const count = (value: number, what: string) => `${value} ${value === 1 ? what : `${what}s`}`;

function showMap(path: string, options: CacheOptions, out: Output): void {
  const file = lookAt(path, { ...options, cells: options.cells ?? mapCells });
  const quantity = options.dirty ? 'dirty' : 'cached';
  const each = file.cells[0];
  const scale = each ? `, a cell is ${count(each.pages, 'page')}` : '';
  out.text('', `${printable(path)}${scale}`, out.paint('dim', `  ${legend(out.ascii)}`));
  out.text(...residencyMap(file, { quantity, ascii: out.ascii, width: Math.min(out.width, 100) }));
}

function showHolders({ path, holders: found }: Looked, out: Output): void {
  if (!found) return;
  const rows = found.holders.flatMap((holder) =>
    holder.mappings.map((mapping) => ({ holder, mapping })),
  );
  out.text(
    '',
    `${printable(path)} is mapped by ${rows.length === 0 ? 'nobody that can be seen' : ''}`,
  );
  if (out.mode !== 'text') return;
  out.table(
    [
      { label: 'PID', text: ({ holder }) => String(holder.pid) },
      { label: 'NAME', align: 'left', text: ({ holder }) => printable(holder.name) },
      { label: 'ADDRESS', text: ({ mapping }) => mapping.start.toString(16) },
      { label: 'PERM', text: ({ mapping }) => mapping.permissions },
      { label: 'OFFSET', text: ({ mapping }) => size(Number(mapping.offset)) },
      { label: 'LENGTH', text: ({ mapping }) => size(mapping.length) },
      { label: 'RSS', text: ({ mapping }) => size(mapping.rss ?? null) },
      {
        label: 'LOCKED',
        text: ({ mapping }) =>
          mapping.flags === undefined ? '?' : mapping.flags.includes('lo') ? 'yes' : 'no',
      },
    ],
    rows,
  );
  for (const { why, hint } of found.unknown) {
    out.warn(`${printable(path)}: ${why}`);
    if (hint !== null) out.hint(hint);
  }
}

function tellUnknown(all: readonly Looked[], out: Output): void {
  const hints = new Set<string>();
  for (const { path, file, error } of all) {
    if (error) out.tell(error);
    if (file?.cached !== null) continue;
    const [gap] = file.unknown;
    out.warn(gap?.why ?? 'the kernel does not tell', printable(path));
    if (gap?.hint) hints.add(gap.hint);
  }
  for (const hint of hints) out.hint(hint);
}

function record(looked: Looked): Record<string, unknown> {
  const { path, file, error, holders: found } = looked;
  if (!file) return failedRecord(path, error as Described);
  return {
    ...fileRecord(file),
    path,
    holders: found?.holders.flatMap((holder) => mappingRecords(holder, file.pageSize)) ?? null,
    unreadable: found ? found.unreadable.length : null,
    error: file.cached === null ? refusedLook(file) : null,
  };
}

/** Why the kernel does not tell; the same in words is in `unknown`. */
function refusedLook({ unknown: [gap] }: FileResidency): Described {
  const message = gap?.why ?? 'the kernel does not tell';
  return { code: 'EPERM', message, hint: gap?.hint ?? null };
}

function largestFirst(all: readonly Looked[], top: number | undefined): Looked[] {
  if (top === undefined) return [...all];
  const inMemory = ({ file }: Looked) => (file ? (bytesOf(file.cached, file) ?? 0) : -1);
  return [...all].sort((a, b) => inMemory(b) - inMemory(a)).slice(0, top);
}

/** One look at all files, and its exit code. */
function round(paths: readonly string[], options: CacheOptions, out: Output): [Looked[], Total] {
  const cells = cellsFor(options, out, paths);
  const all = paths.map((path, index) => {
    if (index % 64 === 63) out.status(`${index + 1} of ${paths.length} files`);
    return look(path, options, cells);
  });
  out.status('');
  return [all, totalOf(all)];
}

function show(all: readonly Looked[], total: Total, options: CacheOptions, out: Output): void {
  const shown = largestFirst(all, options.top);
  const files = shown.flatMap(({ file }) => (file ? [file] : []));
  out.table(columnsFor(options, out), files);
  if (all.length > 1) out.text(totalLine(total, out));
  if (options.map) for (const { path, file } of shown) if (file) showMap(path, options, out);
  for (const looked of shown) showHolders(looked, out);
}

function totalLine({ files, cached, cachedBytes, bytes, pages }: Total, out: Output): string {
  const percent = cached === null ? '?' : formatPercent(cached, pages);
  const what = files === 1 ? 'file' : 'files';
  return out.paint(
    'bold',
    `${size(cachedBytes)} of ${size(bytes)} in ${files} ${what} in memory (${percent})`,
  );
}

function document(all: readonly Looked[], total: Total, options: CacheOptions) {
  const file = all.find((looked) => looked.file)?.file;
  return {
    pageSize: file?.pageSize ?? null,
    source: file?.source ?? null,
    files: largestFirst(all, options.top).map(record),
    total,
  };
}

function exitCode(all: readonly Looked[], total: Total, { require }: CacheOptions): number {
  const worst = Math.max(Exit.ok, ...all.map((looked) => looked.exitCode));
  if (worst > Exit.ok || require === undefined || total.cached === null) return worst;
  const percent = total.pages === 0 ? 100 : (100 * total.cached) / total.pages;
  return percent >= require ? Exit.ok : Exit.no;
}

async function run({ args, options, out }: Invocation<CacheOptions>): Promise<number> {
  const { files, unread } = expand(operands(args, options), options);
  const missed = unread.map(({ path, error }) => failed(path, error));
  if (options.watch !== undefined) return watch(files, options, out);
  const [looked, total] = round(files, options, out);
  const all = [...looked, ...missed];
  show(all, total, options, out);
  out.document(document(all, total, options));
  tellUnknown(all, out);
  if (options.require !== undefined && exitCode(all, total, options) === Exit.no) {
    out.hint(`memmap warm ${args.map(shellWord).join(' ')}  brings the rest in`);
  }
  return exitCode(all, total, options);
}

/** Looks again and again; the summary says how it changed. */
function watch(files: readonly string[], options: CacheOptions, out: Output): Promise<number> {
  const work = async ({ signal }: Interruption) => {
    const start = performance.now();
    let first: Total | undefined;
    let last: [Looked[], Total] = [[], totalOf([])];
    let rounds = 0;
    while (!signal.aborted) {
      last = round(files, options, out);
      first ??= last[1];
      rounds++;
      const seconds = Math.round(performance.now() - start) / 1000;
      if (out.mode === 'ndjson') out.document({ seconds, ...document(...last, options) });
      else if (out.mode !== 'json') {
        out.text(out.paint('dim', `${rounds === 1 ? '' : '\n'}after ${seconds.toFixed(1)} s`));
        show(...last, options, out);
      }
      if (rounds === 1) tellUnknown(last[0], out);
      await pause(options.watch as number, signal);
    }
    const before = size(first?.cachedBytes ?? null);
    out.text(
      '',
      `${rounds} looks: ${before} in memory at first, ${size(last[1].cachedBytes)} at last`,
    );
    if (out.mode === 'json') out.document({ rounds, ...document(...last, options) });
    return exitCode(...last, options);
  };
  return interruptible(work, { onlyPrints: true });
}

export const cache: CommandModule = {
  configure,
  modes: ['json', 'ndjson', 'plain'],
  draws: true,
  bare: { '--watch': '1' },
  examples: [
    ['memmap cache data.bin', 'how much of it is in memory, and where'],
    ['memmap cache -r --top 10 /usr/lib', 'the ten files with most in memory'],
    ['memmap cache --map --dirty db', 'where the dirty pages are'],
    ['memmap cache --holders libc.so.6', 'who maps it'],
    ['memmap cache --require 90 model.bin', 'exit 1 unless 90 % are in memory'],
  ],
  run,
};
