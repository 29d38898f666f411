/**
 * `memmap maps`: where the memory of a process goes.
 */
import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import {
  type Account,
  type AddressSpace,
  type AddressSpaceGroup,
  accountOf,
  addAccounts,
  addressSpaceAsync,
  diff,
  type Grouping,
  gapsBetween,
  groupMaps,
  readStatus,
  type SmapsEntry,
  type Snapshot,
  snapshot,
  unknownAccount,
  vmFlags,
} from '../../inspect/process.ts';
import {
  barColumn,
  mappedBy,
  mappingName,
  mappingRecord,
  type Quantity,
  quantityColumns,
} from '../account.ts';
import { type CommandModule, choice, type Invocation } from '../command.ts';
import { describeError, exitCodeFor, usage } from '../errors.ts';
import { Exit } from '../exit.ts';
import { printable, shortenMiddle, size } from '../format.ts';
import { interruptible, pause } from '../interrupt.ts';
import type { Output } from '../output.ts';
import { nameOf, processOf } from '../processes.ts';
import { parsePositive, parseSeconds } from '../size.ts';
import { diffRecord, readSnapshot, showDiff } from '../snapshots.ts';
import type { Column } from '../table.ts';

type GroupWord = 'kind' | 'file' | 'perm' | 'none';
type SortKey = Quantity | 'maps' | 'name' | 'address';

interface MapsOptions {
  group: GroupWord;
  sort: string;
  top?: number;
  file?: string;
  cheap?: boolean;
  pages?: boolean;
  diff?: string;
  gaps?: boolean;
  after: number;
}

const groupings: Record<GroupWord, Grouping> = {
  kind: 'kind',
  file: 'file',
  perm: 'permissions',
  none: 'none',
};
const sortKeys: Record<string, SortKey> = {
  rss: 'resident',
  pss: 'proportional',
  virt: 'virtual',
  shared: 'shared',
  private: 'private',
  dirty: 'dirty',
  swap: 'swap',
  huge: 'huge',
  locked: 'locked',
  maps: 'maps',
  name: 'name',
  address: 'address',
};

function configure(command: Command): void {
  command
    .argument('[process]', 'its number, or the name of its command')
    .usage('[options] PID|NAME|-- COMMAND...')
    .description(
      `Where the memory of a process goes. RSS counts huge pages of the pool, too. SHARED is what other
processes map as well, whatever the rights say; PRIVATE is what would be free if it ended.
With COMMAND: starts it, looks after a second (--after), and ends it.`,
    )
    .addOption(
      choice('--group <by>', 'a line for each', ['kind', 'file', 'perm', 'none']).default('kind'),
    )
    .addOption(choice('--sort <by>', 'the largest first', Object.keys(sortKeys)).default('rss'))
    .option('--top <n>', 'only the first lines', parsePositive)
    .option('--file <path>', 'only mappings of this file, or whose name contains it')
    .option('--cheap', 'only address space: costs the process nothing')
    .option('--pages', 'a map of the pages of each mapping')
    .addOption(
      new Option(
        '--diff <s|file>',
        'what changes in so many seconds, or since a snapshot',
      ).conflicts(['pages', 'gaps', 'cheap']),
    )
    .option('--gaps', 'what lies between the mappings')
    .option('--after <seconds>', 'of COMMAND: when to look', parseSeconds, 1);
}

/** Mappings are called by the file, whatever links lead to it. */
function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path); // it is gone, or was never a path
  }
}

function matches(entry: SmapsEntry, file: string): boolean {
  if (entry.name === null) return false;
  return entry.name === realPathOf(file) || entry.name.includes(file);
}

/** The part of an address space that was asked for. */
function selected(space: AddressSpace, { file, group }: MapsOptions): AddressSpace {
  if (file === undefined) return space;
  const entries = allEntries(space).filter((entry) => matches(entry, file));
  return {
    ...space,
    groups: groupMaps(entries, groupings[group]),
    total: addAccounts(entries.map(account)),
    gaps: gapsBetween(entries),
  };
}

function account(entry: SmapsEntry): Account {
  if (entry.rss !== undefined) return accountOf(entry);
  const {
    name: _name,
    kind: _kind,
    entries: _entries,
    ...unknown
  } = groupMaps([entry], 'none')[0] as AddressSpaceGroup;
  return unknown;
}

function allEntries({ groups }: AddressSpace): SmapsEntry[] {
  return groups
    .flatMap(({ entries }) => entries)
    .sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0));
}

function sorted(groups: readonly AddressSpaceGroup[], { sort, top }: MapsOptions) {
  const key = sortKeys[sort] as SortKey;
  const order = [...groups];
  if (key === 'name') order.sort((a, b) => (a.name < b.name ? -1 : 1));
  else if (key === 'address') order.sort((a, b) => (startOf(a) < startOf(b) ? -1 : 1));
  // The library's order is that of the largest resident already, and a sort is stable.
  else if (key !== 'resident') order.sort((a, b) => (b[key] ?? -1) - (a[key] ?? -1));
  return order.slice(0, top);
}

function startOf({ entries }: AddressSpaceGroup): bigint {
  return entries[0]?.start ?? 0n;
}

const widestBar = 20;
const figuresWidth = 88;

function groupColumns(
  rows: readonly AddressSpaceGroup[],
  { group, cheap }: MapsOptions,
  out: Output,
): Column<AddressSpaceGroup>[] {
  const label = { kind: 'KIND', file: 'FILE', perm: 'PERM', none: '' }[group];
  const figures = quantityColumns<AddressSpaceGroup>(cheap ? ['virtual'] : undefined);
  const maps: Column<AddressSpaceGroup> = { label: 'MAPS', text: ({ maps }) => String(maps) };
  const room = out.isTerminal ? Math.max(20, out.width - figuresWidth) : Number.POSITIVE_INFINITY;
  const name: Column<AddressSpaceGroup> = {
    label,
    align: 'left',
    text: (row) => shortenMiddle(printable(row.name), room),
    plain: (row) => printable(row.name),
  };
  if (group === 'file') return [maps, ...figures, name];
  const width = out.isTerminal ? Math.min(widestBar, out.width - figuresWidth - 8) : widestBar;
  if (cheap || width < 4) return [name, maps, ...figures];
  return [name, maps, ...figures, barColumn('resident', rows, width, out.ascii)];
}

/** One line for each mapping. */
function entryColumns({ cheap }: MapsOptions, out: Output): Column<AddressSpaceGroup>[] {
  const entry = ({ entries }: AddressSpaceGroup) => entries[0] as SmapsEntry;
  const figures = quantityColumns<AddressSpaceGroup>(
    cheap
      ? ['virtual']
      : ['virtual', 'resident', 'proportional', 'dirty', 'swap', 'huge', 'locked'],
  );
  const by: Column<AddressSpaceGroup> = {
    label: 'BY',
    text: (row) => mappedBy(row)?.toFixed(1) ?? (row.resident === 0 ? '-' : '?'),
    plain: (row) => mappedBy(row),
  };
  const room = out.isTerminal ? Math.max(16, out.width - 76) : Number.POSITIVE_INFINITY;
  return [
    { label: 'ADDRESS', text: (row) => entry(row).start.toString(16) },
    { label: 'PERM', text: (row) => entry(row).permissions },
    ...figures,
    ...(cheap ? [] : [by]),
    {
      label: 'NAME',
      align: 'left',
      text: (row) => shortenMiddle(mappingName(entry(row)), room),
      plain: (row) => mappingName(entry(row)),
    },
  ];
}

/** How to draw pages, which is loaded where that is asked for. */
type Pictures = typeof import('../pagemap.ts');

function show(
  space: AddressSpace,
  options: MapsOptions,
  pictures: Pictures | null,
  out: Output,
  mapsOfProcess: number,
): void {
  const rows = sorted(space.groups, options);
  const isSingle = options.group === 'none';
  const columns = isSingle ? entryColumns(options, out) : groupColumns(rows, options, out);
  out.table(columns, rows);
  if (rows.length === 0) out.text('It has no mappings that were asked for.');
  if (rows.length < space.groups.length) {
    out.text(out.paint('dim', `and ${space.groups.length - rows.length} more`));
  }
  showSums(space, mapsOfProcess, out);
  if (options.gaps) showGaps(space, out);
  if (pictures) showPages(space, options, pictures, out);
}

function showSums({ total, locked, maximumMaps }: AddressSpace, maps: number, out: Output): void {
  const { virtual, resident, freeable, needsWriteBack, needsSwap } = total;
  const bold = (text: string) => out.paint('bold', text);
  const inMemory = resident === null ? '' : `, ${bold(size(resident))} in memory`;
  out.text('', `${bold(size(virtual))} of address space${inMemory}`);
  if (resident !== null) {
    out.text(
      `could be freed without swap: ${bold(size(freeable))}; after writing to the disk: ` +
        `${size(needsWriteBack)}; only to swap: ${size(needsSwap)}`,
    );
  }
  const lockedText = locked === null ? '?' : size(locked);
  out.text(`locked ${lockedText}; VMAs ${maps}/${maximumMaps ?? '?'}`);
}

const mostGaps = 20;

function showGaps({ gaps }: AddressSpace, out: Output): void {
  const largest = [...gaps].sort((a, b) => (a.length < b.length ? 1 : -1)).slice(0, mostGaps);
  out.text('', `${gaps.length} gaps, the largest:`);
  if (out.mode !== 'text') return;
  out.table(
    [
      { label: 'FROM', text: ({ start }) => start.toString(16) },
      { label: 'TO', text: ({ end }) => end.toString(16) },
      { label: 'LENGTH', text: ({ length }) => size(Number(length)) },
    ],
    largest,
  );
}

const picturedCells = 512;

function showPages(
  space: AddressSpace,
  options: MapsOptions,
  { drawPages, pageLegend }: Pictures,
  out: Output,
): void {
  const { pageSize } = space;
  const pid = space.pid as number;
  out.text('', pageLegend);
  const entries = allEntries(space).filter((entry) => entry.rss !== 0 || entry.swap);
  const perLine = Math.min(100, out.width) - 4;
  for (const entry of options.top ? entries.slice(0, options.top) : entries) {
    const picture = drawPages(pid, entry, { most: picturedCells, pageSize });
    const scale = picture.pagesEach === 1 ? '' : `, ${picture.pagesEach} pages a character`;
    const where = `${entry.start.toString(16)} ${entry.permissions}`;
    out.text('', `${where} ${size(entry.length)} ${mappingName(entry)}${scale}`);
    const text = picture.characters.join('');
    for (let at = 0; at < text.length; at += perLine) out.text(`  ${text.slice(at, at + perLine)}`);
  }
}

function document(
  space: AddressSpace,
  options: MapsOptions,
  pictures: Pictures | null,
): Record<string, unknown> {
  const { pid, pageSize, total, locked, maximumMaps, gaps, unknown } = space;
  return {
    pid,
    name: nameOf(pid as number).replace(/\(\d+\)$/, ''),
    pageSize,
    group: options.group,
    groups: sorted(space.groups, options).map(({ entries, ...group }) => ({
      ...group,
      mappings: entries.map((entry) => ({
        ...mappingRecord(entry, account(entry)),
        ...(pictures ? picturedRecord(pid as number, entry, pageSize, pictures) : {}),
      })),
    })),
    total,
    locked,
    maximumMaps,
    gaps: options.gaps ? gaps.map(({ start, end, length }) => ({ start, end, length })) : null,
    unknown,
  };
}

function picturedRecord(pid: number, entry: SmapsEntry, pageSize: number, { drawPages }: Pictures) {
  const { characters, pagesEach } = drawPages(pid, entry, { most: picturedCells, pageSize });
  return { pages: characters.join(''), pagesEach };
}

function showFlags(space: AddressSpace, out: Output): void {
  if (!out.verbose) return;
  const used = new Set(allEntries(space).flatMap(({ flags }) => flags ?? []));
  for (const flag of used) out.detail(`VmFlags ${flag}: ${vmFlags[flag] ?? 'unknown'}`);
}

/** What status tells to everybody of a process whose mappings this user may not see. */
function showOutline(pid: number, error: unknown, options: MapsOptions, out: Output): number {
  const { virtual, resident, locked, swapped, ...parts } = readStatus(pid);
  if (virtual === undefined) throw error; // a thread of the kernel, or one that has ended
  const { message, hint } = describeError(error);
  const kinds = [parts.residentAnonymous, parts.residentFile, parts.residentShared];
  const [anonymous, file, shared] = kinds.map((bytes) => size(bytes ?? null));
  out.text(
    out.paint('bold', nameOf(pid)),
    `${size(virtual)} of address space, ${size(resident ?? null)} in memory`,
    `anonymous ${anonymous}, of files ${file}, shared memory ${shared}, swap ${size(swapped ?? null)}`,
    `locked ${size(locked ?? null)}; VMAs ?`,
  );
  if (out.mode === 'plain') out.raw(['?', virtual, resident ?? '?'].join('\t'));
  out.warn(message);
  if (hint) out.hint(hint);
  const { maps: _, ...rest } = unknownAccount(virtual);
  out.document({
    pid,
    name: nameOf(pid).replace(/\(\d+\)$/, ''),
    pageSize: null,
    group: options.group,
    groups: [],
    total: { ...rest, maps: null, resident: resident ?? null, swap: swapped ?? null },
    locked: locked ?? null,
    maximumMaps: null,
    gaps: null,
    unknown: [{ what: 'mappings', why: message, hint }],
  });
  return Exit.denied;
}

async function look(pid: number, options: MapsOptions, out: Output): Promise<number> {
  try {
    return await lookInto(pid, options, out);
  } catch (error) {
    if (exitCodeFor(error) !== Exit.denied) throw error;
    return showOutline(pid, error, options, out);
  }
}

async function lookInto(pid: number, options: MapsOptions, out: Output): Promise<number> {
  const { group, cheap = false } = options;
  const whole = await addressSpaceAsync(pid, { by: groupings[group], cheap });
  const space = selected(whole, options);
  out.text(out.paint('bold', nameOf(pid)));
  const pictures = options.pages ? await import('../pagemap.ts') : null;
  show(space, options, pictures, out, whole.total.maps);
  showFlags(space, out);
  if (out.mode === 'json') out.document(document(space, options, pictures));
  for (const { why, hint } of options.cheap ? [] : space.unknown) {
    out.warn(why);
    if (hint) out.hint(hint);
  }
  return options.file !== undefined && space.groups.length === 0 ? Exit.no : Exit.ok;
}

/** What changed, in so many seconds or since a snapshot. */
async function lookTwice(
  pid: number,
  options: MapsOptions,
  out: Output,
  signal: AbortSignal,
): Promise<number> {
  const asked = options.diff as string;
  let before: Snapshot;
  if (/^(\d+(\.\d*)?|\.\d+)$/.test(asked)) {
    before = snapshot(pid);
    out.status(`waiting ${asked} s`);
    await pause(parseSeconds(asked), signal);
    out.status('');
  } else before = readSnapshot(asked);
  const difference = diff(before, snapshot(pid));
  showDiff(difference, { top: options.top ?? 20 }, out);
  out.document(diffRecord(difference), 'diff');
  return Exit.ok;
}

/** Starts a command, looks at it in its prime, and ends it. */
async function lookAtChild(
  command: readonly string[],
  options: MapsOptions,
  out: Output,
  signal: AbortSignal,
): Promise<number> {
  const { endOf, startChild } = await import('../child.ts');
  const child = await startChild(command);
  try {
    await pause(options.after, endOf(child, signal));
    if (signal.aborted) return Exit.ok;
    if (child.code !== undefined) {
      throw usage(
        `${printable(command[0] as string)} ended with ${child.code} before it was looked at`,
        '--after 0.1 looks earlier',
      );
    }
    return options.diff === undefined
      ? await look(child.pid, options, out)
      : await lookTwice(child.pid, options, out, signal);
  } finally {
    child.kill('SIGTERM');
    await pause(2, endOf(child));
    if (child.code === undefined) child.kill('SIGKILL');
  }
}

async function run({ args, options, child, out }: Invocation<MapsOptions>): Promise<number> {
  if (child !== null) {
    if (args.length > 0) throw usage('a process and a command do not go together');
    return interruptible(({ signal }) => lookAtChild(child, options, out, signal));
  }
  const [name] = args;
  if (name === undefined) throw usage('there is no process', 'its number, its name, or -- COMMAND');
  const pid = processOf(name);
  if (options.diff === undefined) return look(pid, options, out);
  return interruptible(({ signal }) => lookTwice(pid, options, out, signal));
}

export const maps: CommandModule = {
  configure,
  modes: ['json', 'plain'],
  takesChild: true,
  draws: true,
  examples: [
    ['memmap maps 4711', 'by kind: files, heap, stacks, ...'],
    ['memmap maps --group file --top 10 postgres', 'the files with most in memory'],
    ['memmap maps --group none --pages --file data.bin 4711', 'each page of one file'],
    ['memmap maps --diff 5 4711', 'what changes within five seconds'],
    ['memmap maps -- node server.js', 'of a command, a second after its start'],
  ],
  run,
};
