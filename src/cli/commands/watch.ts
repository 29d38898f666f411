/**
 * `memmap watch`: page faults and memory of a process as time goes by.
 */
import type { Command } from 'commander';
import { pageSize } from '../../index.ts';
import {
  diff,
  type FileResidency,
  type MapEntry,
  mappingAt,
  readMaps,
  readStat,
  readStatus,
  type Snapshot,
  type SnapshotDiff,
  snapshot,
} from '../../inspect/index.ts';
import { mappingName } from '../account.ts';
import { passOn, type RunningChild, startChild } from '../child.ts';
import type { CommandModule, Invocation } from '../command.ts';
import { CommandError, describeError, usage } from '../errors.ts';
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
memmap fails; its output goes to stderr.`,
    )
    .option('--interval <seconds>', 'between two lines', parseSeconds, 0.5)
    .option('--count <n>', 'end after so many lines', parsePositive)
    .option(
      '--map <what>',
      'with a bar: a file in the page cache, or pages at a hexadecimal address',
    )
    .option('--trace', 'each fault by its mapping and kind (root, tracefs)');
}

/** One line. */
interface Tick {
  seconds: number;
  /** Since the line before. */
  minor: number;
  major: number;
  minorPerSecond: number;
  majorPerSecond: number;
  anonymous: number | null;
  file: number | null;
  shared: number | null;
  swap: number | null;
  /** Of --map. */
  cached: number | null;
  pages: number | null;
}

type Picture = { bar: string; cached: number | null; pages: number };
/** Looks at what --map asks for; `null`: nothing was. */
type Look = () => Picture | null;

const barCells = 32;

function pictureOfFile(path: string, out: Output): Look {
  return () => {
    const file: FileResidency = lookAt(path, { cells: barCells });
    const { cached, pages } = file;
    return { bar: residencyBar(file, 'cached', out.ascii), cached, pages };
  };
}

function pictureOfPages(pid: number, address: bigint): Look {
  const there = (character: PageCharacter) => character !== '.';
  return () => {
    const entry = mappingAt(readMaps(pid), address);
    if (!entry) return null;
    const { characters, pagesEach } = drawPages(pid, entry, { most: barCells, pageSize });
    const pages = entry.length / pageSize;
    const cached = pagesEach === 1 ? characters.filter(there).length : null;
    return { bar: `[${characters.join('')}]`, cached, pages };
  };
}

function lookFor(pid: number, { map }: WatchOptions, out: Output): Look {
  if (map === undefined) return () => null;
  const address = isThere(map) ? null : parseAddress(map);
  if (address !== null) return pictureOfPages(pid, address);
  const look = pictureOfFile(map, out);
  look(); // what is wrong with the file is told before anything runs
  return look;
}

/** Faults by mapping and kind. */
type Traced = Map<string, Map<FaultKind, number>>;

/** Watches one process; the lines go through `tell`. */
class Watch {
  readonly #pid: number;
  readonly #look: Look;
  readonly #trace: FaultTrace | null;
  readonly #start = performance.now();
  readonly #startTicks: bigint;
  readonly first: Snapshot | null;
  last: Snapshot | null;
  readonly traced: Traced = new Map();
  lost = 0;
  #before: { minor: number; major: number; time: number };
  #maps: MapEntry[] = [];
  /** Looks at all mappings may cost this share of the time. */
  #lookCost = 0;
  #nextLook = 0;

  constructor(pid: number, look: Look, trace: FaultTrace | null) {
    this.#pid = pid;
    this.#look = look;
    this.#trace = trace;
    const { minorFaults, majorFaults, startTicks } = readStat(pid);
    this.#startTicks = startTicks;
    this.#before = { minor: minorFaults, major: majorFaults, time: this.#start };
    this.first = this.#trySnapshot();
    this.last = this.first;
  }

  get seconds(): number {
    return Math.round(performance.now() - this.#start) / 1000;
  }

  /** `null`: it may not be looked at, or has ended. */
  #trySnapshot(): Snapshot | null {
    const start = performance.now();
    try {
      return snapshot(this.#pid);
    } catch (error) {
      const { code } = describeError(error);
      if (code === 'ESRCH' || code === 'EACCES' || code === 'EPERM') return null;
      throw error;
    } finally {
      const now = performance.now();
      this.#lookCost = now - start;
      this.#nextLook = now + this.#lookCost * 10;
    }
  }

  /** `null`: the process has ended. */
  tick(): { tick: Tick; picture: Picture | null } | null {
    try {
      return this.#lookNow();
    } catch (error) {
      if (describeError(error).code === 'ESRCH') return null;
      throw error;
    }
  }

  #lookNow() {
    const stat = readStat(this.#pid);
    if (stat.state === 'Z' || stat.startTicks !== this.#startTicks) return null;
    const status = readStatus(this.#pid);
    this.takeTrace();
    const picture = this.#look();
    const time = performance.now();
    const before = this.#before;
    this.#before = { minor: stat.minorFaults, major: stat.majorFaults, time };
    const seconds = Math.max(0.001, (time - before.time) / 1000);
    const minor = stat.minorFaults - before.minor;
    const major = stat.majorFaults - before.major;
    if (this.first && time >= this.#nextLook) this.last = this.#trySnapshot() ?? this.last;
    const tick: Tick = {
      seconds: this.seconds,
      minor,
      major,
      minorPerSecond: Math.round(minor / seconds),
      majorPerSecond: Math.round(major / seconds),
      anonymous: status.residentAnonymous ?? null,
      file: status.residentFile ?? null,
      shared: status.residentShared ?? null,
      swap: status.swapped ?? null,
      cached: picture?.cached ?? null,
      pages: picture?.pages ?? null,
    };
    return { tick, picture };
  }

  takeTrace(): void {
    if (!this.#trace) return;
    try {
      this.#maps = readMaps(this.#pid);
    } catch {
      // it has ended: its mappings are those of the last look
    }
    const { faults, lost } = this.#trace.read();
    this.lost += lost;
    for (const { address, kind } of faults) {
      const entry = mappingAt(this.#maps, address);
      const name = entry ? mappingName(entry) : '(gone)';
      const counts = this.traced.get(name) ?? new Map<FaultKind, number>();
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
      this.traced.set(name, counts);
    }
  }

  close(): void {
    this.takeTrace();
    this.#trace?.close();
  }
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

/** What grew, by the name of mappings; bytes. */
function growth({ added, removed, changed }: SnapshotDiff): { name: string; resident: number }[] {
  const sums = new Map<string, number>();
  const add = (map: { name: string | null; kind: string }, bytes: number) => {
    const name = map.name ?? `(${map.kind})`;
    sums.set(name, (sums.get(name) ?? 0) + bytes);
  };
  for (const map of added) add(map, map.resident ?? 0);
  for (const map of removed) add(map, -(map.resident ?? 0));
  for (const { before, after } of changed)
    add(after, (after.resident ?? 0) - (before.resident ?? 0));
  return [...sums]
    .filter(([, resident]) => resident !== 0)
    .map(([name, resident]) => ({ name, resident }))
    .sort((a, b) => Math.abs(b.resident) - Math.abs(a.resident));
}

interface Summary {
  [key: string]: unknown;
  pid: number;
  seconds: number;
  ticks: number;
  minor: number;
  major: number;
  growth: { name: string; resident: number }[] | null;
  traced: { name: string; kinds: Record<string, number> }[] | null;
  lost: number | null;
}

function summaryOf(pid: number, watch: Watch, ticks: readonly Tick[], isTraced: boolean): Summary {
  const sum = (key: 'minor' | 'major') => ticks.reduce((total, tick) => total + tick[key], 0);
  const { first, last } = watch;
  const total = (kinds: Map<FaultKind, number>) => [...kinds.values()].reduce((a, b) => a + b, 0);
  return {
    pid,
    seconds: watch.seconds,
    ticks: ticks.length,
    minor: sum('minor'),
    major: sum('major'),
    growth: first && last ? growth(diff(first, last)) : null,
    traced: isTraced
      ? [...watch.traced]
          .sort(([, a], [, b]) => total(b) - total(a))
          .map(([name, kinds]) => ({ name, kinds: Object.fromEntries(kinds) }))
      : null,
    lost: isTraced ? watch.lost : null,
  };
}

const shownRows = 12;

function showSummary(summary: Summary, out: Output): void {
  const { seconds, minor, major, growth: grown, traced, lost } = summary;
  const met = `${formatCount(minor)} minor and ${formatCount(major)} major faults`;
  out.text('', out.paint('bold', `${met} in ${seconds.toFixed(1)} s`));
  for (const { name, kinds } of (traced ?? []).slice(0, shownRows)) {
    const words = Object.entries(kinds).map(([kind, times]) => `${formatCount(times)} ${kind}`);
    out.text(`  ${words.join(', ')}: ${printable(name)}`);
  }
  if (lost) out.warn(`${formatCount(lost)} faults came too fast to be traced`);
  if (grown === null)
    out.warn('the mappings of this process may not be read: what grew is unknown');
  const rows = (grown ?? []).slice(0, shownRows);
  if (rows.length > 0) out.text('in memory, by mapping:');
  for (const { name, resident } of rows) {
    out.text(`  ${signed(resident).padStart(8)}  ${printable(name)}`);
  }
}

interface Subject {
  pid: number;
  child: RunningChild | null;
}

async function watchLoop(
  { pid, child }: Subject,
  { options, out }: Invocation<WatchOptions>,
  signal: AbortSignal,
): Promise<Summary> {
  const trace = options.trace ? new FaultTrace(pid) : null;
  const look = lookFor(pid, options, out);
  const watch = new Watch(pid, look, trace);
  const ticks: Tick[] = [];
  try {
    if (out.mode === 'text') out.text(out.paint('bold', nameOf(pid)));
    while (!signal.aborted && ticks.length < (options.count ?? Number.POSITIVE_INFINITY)) {
      await Promise.race([pause(options.interval, signal), child?.ended ?? new Promise(() => {})]);
      const found = child?.code === undefined ? watch.tick() : null;
      if (found === null) break;
      if (ticks.length % headEvery === 0) out.text(out.paint('dim', headLine(options)));
      ticks.push(found.tick);
      out.text(tickLine(found));
      if (out.mode === 'plain') out.raw(plainLine(found.tick));
      if (out.mode === 'ndjson') out.document({ type: 'tick', pid, ...found.tick });
    }
  } finally {
    watch.close();
  }
  return tell(summaryOf(pid, watch, ticks, trace !== null), ticks, out);
}

function tell(summary: Summary, ticks: readonly Tick[], out: Output): Summary {
  showSummary(summary, out);
  if (out.mode === 'ndjson') out.document({ type: 'summary', ...summary });
  else out.document({ ...summary, type: 'summary', ticks });
  return summary;
}

async function watchChild(
  command: readonly string[],
  invocation: Invocation<WatchOptions>,
  interruption: Interruption,
): Promise<number> {
  const child = await startChild(command);
  passOn(child, interruption);
  try {
    await watchLoop({ pid: child.pid, child }, invocation, interruption.signal);
  } catch (error) {
    // It may have ended before the first look at it.
    if (describeError(error).code !== 'ESRCH') {
      child.kill('SIGTERM');
      throw error;
    }
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
  const work = async ({ signal }: Interruption) => {
    await watchLoop({ pid, child: null }, invocation, signal);
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
