/**
 * `memmap watch`: page faults and memory of a process as time goes by.
 */
import { basename } from 'node:path';
import type { Command } from 'commander';
import { pageSize } from '../../index.ts';
import { type FileResidency, mappingAt, pageFaults, readMaps } from '../../inspect/index.ts';
import { endOf, passOn, startChild } from '../child.ts';
import type { CommandModule, Invocation } from '../command.ts';
import { CommandError, usage } from '../errors.ts';
import { Exit } from '../exit.ts';
import { isThere } from '../files.ts';
import { formatCount, formatPercent, printable, size } from '../format.ts';
import { type Interruption, interruptible, pause } from '../interrupt.ts';
import type { Output } from '../output.ts';
import { drawPages, type PageCharacter } from '../pagemap.ts';
import { nameOf, processOf } from '../processes.ts';
import { lookAt, residencyBar } from '../residency.ts';
import { parseAddress, parsePositive, parseSeconds } from '../size.ts';
import { signed } from '../snapshots.ts';
import { type FaultKind, FaultTrace } from '../trace.ts';
import {
  type Counts,
  type Growth,
  type Look,
  type Picture,
  type Subject,
  since,
  type Tick,
  Watch,
} from '../watching.ts';

interface WatchOptions {
  interval: number;
  count?: number;
  map?: string;
  trace?: boolean;
}

function configure(command: Command): void {
  command
    .argument('[process]', 'its number, or the name of its command')
    .usage('[options] PID|NAME|-- COMMAND...')
    .description(
      `Page faults (minor: served from memory, major: waited for) and memory, a line each half second,
until the process ends or Ctrl-C; then what grew. With COMMAND the exit code is its own, 125 when
memmap fails; its output goes to stderr; at its end the faults of what it waited for count as well.`,
    )
    .option('--interval <seconds>', 'between two lines', parseSeconds, 0.5)
    .option('--count <n>', 'end after so many lines', parsePositive)
    .option(
      '--map <what>',
      'with a bar: a file in the page cache, or pages at a hexadecimal address',
    )
    .option('--trace', 'each fault by its mapping and kind (root, tracefs)');
}

const barCells = 32;

function pictureOfFile(path: string, out: Output): Look {
  return () => {
    const file: FileResidency = lookAt(path, { cells: barCells });
    const { cached, pages } = file;
    return { bar: residencyBar(file, 'cached', out.ascii), cached, pages };
  };
}

function pictureOfPages(address: bigint): Look {
  const there = (character: PageCharacter) => character !== '.';
  return (pid) => {
    const entry = mappingAt(readMaps(pid), address);
    if (!entry) return null;
    const { characters, pagesEach } = drawPages(pid, entry, { most: barCells, pageSize });
    const pages = entry.length / pageSize;
    const cached = pagesEach === 1 ? characters.filter(there).length : null;
    return { bar: `[${characters.join('')}]`, cached, pages };
  };
}

function lookFor({ map }: WatchOptions, out: Output): Look {
  if (map === undefined) return () => null;
  const address = isThere(map) ? null : parseAddress(map);
  if (address !== null) return pictureOfPages(address);
  const look = pictureOfFile(map, out);
  look(0); // what is wrong with the file is told before anything runs
  return look;
}

const columns = ['t', 'min/s', 'maj/s', 'anon', 'file', 'shmem', 'swap'] as const;
const columnWidth = 8;
const headEvery = 20;

function headLine({ map }: WatchOptions): string {
  const head = columns.map((name) => name.padStart(columnWidth)).join('');
  return map === undefined ? head : `${head}  ${printable(map)}`;
}

function tickLine({ tick, picture }: { tick: Tick; picture: Picture | null }): string {
  const cells = [
    `${tick.seconds.toFixed(1)}s`,
    formatCount(tick.minorPerSecond),
    formatCount(tick.majorPerSecond),
    size(tick.anonymous),
    size(tick.file),
    size(tick.shared),
    size(tick.swap),
  ];
  const line = cells.map((cell) => cell.padStart(columnWidth)).join('');
  if (!picture) return line;
  const percent = picture.cached === null ? '' : ` ${formatPercent(picture.cached, picture.pages)}`;
  return `${line}  ${picture.bar}${percent}`;
}

function plainLine(tick: Tick): string {
  return Object.values(tick)
    .map((value) => value ?? '?')
    .join('\t');
}

interface Summary {
  [key: string]: unknown;
  pid: number;
  seconds: number;
  ticks: number;
  minor: number | null;
  major: number | null;
  growth: Growth[] | null;
  traced: { name: string; kinds: Record<string, number> }[] | null;
  lost: number | null;
}

function summaryOf(pid: number, watch: Watch, counts: Counts | null, ticks: number): Summary {
  const total = (kinds: Map<FaultKind, number>) => [...kinds.values()].reduce((a, b) => a + b, 0);
  const { seconds, traced, lost, isTraced } = watch;
  return {
    pid,
    seconds,
    ticks,
    minor: counts?.minor ?? null,
    major: counts?.major ?? null,
    growth: watch.growth,
    traced: isTraced
      ? [...traced]
          .sort(([, a], [, b]) => total(b) - total(a))
          .map(([name, kinds]) => ({ name, kinds: Object.fromEntries(kinds) }))
      : null,
    lost: isTraced ? lost : null,
  };
}

const shownRows = 12;

function showSummary(summary: Summary, { gap, isComplete }: Ending, out: Output): void {
  const { seconds, minor, major, growth: grown, traced, lost } = summary;
  const count = (times: number | null) => (times === null ? '?' : formatCount(times));
  const least = isComplete || minor === null ? '' : 'at least ';
  const met = `${least}${count(minor)} minor and ${count(major)} major faults`;
  out.text('', out.paint('bold', `${met} in ${seconds.toFixed(1)} s`));
  for (const { name, kinds } of (traced ?? []).slice(0, shownRows)) {
    const words = Object.entries(kinds).map(([kind, times]) => `${formatCount(times)} ${kind}`);
    out.text(`  ${words.join(', ')}: ${printable(name)}`);
  }
  if (lost) out.warn(`${formatCount(lost)} faults came too fast to be traced`);
  if (grown === null) out.warn(gap);
  const rows = (grown ?? []).slice(0, shownRows);
  if (rows.length > 0) out.text('in memory, by mapping:');
  for (const { name, resident } of rows) {
    out.text(`  ${signed(resident).padStart(8)}  ${printable(name)}`);
  }
}

/** What the summary says in words. */
interface Ending {
  gap: string;
  /** Nothing came after the last look. */
  isComplete: boolean;
}

/** Prints a line each interval until there is an end. @returns The lines. */
async function tickUntilEnd(
  watch: Watch,
  { pid, child }: Subject,
  { options, out }: Invocation<WatchOptions>,
  signal: AbortSignal,
): Promise<Tick[]> {
  const ticks: Tick[] = [];
  const wake = child ? endOf(child, signal) : signal;
  while (!signal.aborted && ticks.length < (options.count ?? Number.POSITIVE_INFINITY)) {
    await pause(options.interval, wake);
    const found = child?.code === undefined ? watch.tick() : null;
    if (found === null) break;
    if (ticks.length % headEvery === 0) out.text(out.paint('dim', headLine(options)));
    ticks.push(found.tick);
    out.text(tickLine(found));
    if (out.mode === 'plain') out.raw(plainLine(found.tick));
    if (out.mode === 'ndjson') out.document({ type: 'tick', pid, ...found.tick });
  }
  return ticks;
}

async function watchLoop(
  subject: Subject,
  look: Look,
  invocation: Invocation<WatchOptions>,
  signal: AbortSignal,
): Promise<void> {
  const { pid, name, child, reaped } = subject;
  const { options, out } = invocation;
  const trace = options.trace ? new FaultTrace(pid) : null;
  const watch = new Watch(subject, look, trace);
  let ticks: Tick[] = [];
  try {
    child?.release();
    if (out.mode === 'text') out.text(out.paint('bold', name));
    ticks = await tickUntilEnd(watch, subject, invocation, signal);
    if (ticks.length !== options.count) await child?.ended;
  } finally {
    watch.close();
  }
  const hasEnded = child?.code !== undefined;
  const isComplete = hasEnded || watch.finish();
  const counts = hasEnded && reaped ? since(watch.base, reaped()) : watch.counts;
  const summary = summaryOf(pid, watch, counts, ticks.length);
  showSummary(summary, { gap: watch.gap, isComplete }, out);
  if (out.mode === 'ndjson') out.document({ type: 'summary', ...summary });
  else out.document({ ...summary, type: 'summary', ticks });
}

async function watchChild(
  command: readonly string[],
  invocation: Invocation<WatchOptions>,
  interruption: Interruption,
): Promise<number> {
  const { options, out } = invocation;
  const look = lookFor(options, out);
  // This process waits for no other child, and the kernel counts when it waits.
  const before = pageFaults().children;
  const reaped = () => since(before, pageFaults().children);
  const child = await startChild(command, { isHeld: options.trace ?? false });
  passOn(child, interruption);
  const name = `${printable(basename(command[0] as string))}(${child.pid})`;
  try {
    const subject = { pid: child.pid, name, child, reaped };
    await watchLoop(subject, look, invocation, interruption.signal);
  } catch (error) {
    child.kill('SIGTERM');
    if (!interruption.signal.aborted) throw error;
  }
  return child.ended;
}

async function run(invocation: Invocation<WatchOptions>): Promise<number> {
  const { args, child } = invocation;
  if (child !== null) {
    if (args.length > 0) throw usage('a process and a command do not go together');
    return interruptible((interruption) => watchChild(child, invocation, interruption));
  }
  const [name] = args;
  if (name === undefined) throw usage('there is no process', 'its number, its name, or -- COMMAND');
  const pid = processOf(name);
  if (pid === process.pid) throw new CommandError('it would watch itself');
  const subject = { pid, name: nameOf(pid), child: null };
  const look = lookFor(invocation.options, invocation.out);
  const work = async ({ signal }: Interruption) => {
    await watchLoop(subject, look, invocation, signal);
    return Exit.ok;
  };
  return interruptible(work, { onlyPrints: true });
}

export const watch: CommandModule = {
  configure,
  modes: ['json', 'ndjson', 'plain'],
  takesChild: true,
  passesStatus: true,
  draws: true,
  examples: [
    ['memmap watch 4711', 'until it ends, or Ctrl-C'],
    ['memmap watch --map data.bin -- ./search', 'with the residency of a file'],
    ['memmap watch --count 10 --interval 1 --ndjson 4711', 'for a program'],
    ['memmap watch --trace 4711', 'by mapping and kind (root)'],
  ],
  run,
};
