/**
 * What there is to see of a process from one look to the next: faults, memory, what grew.
 */
import {
  diff,
  type MapEntry,
  mappingAt,
  type ProcessStat,
  readMaps,
  readStat,
  readStatus,
  type Snapshot,
  type SnapshotDiff,
  snapshot,
} from '../inspect/index.ts';
import { mappingName } from './account.ts';
import type { RunningChild } from './child.ts';
import { describeError } from './errors.ts';
import type { FaultKind, FaultTrace } from './trace.ts';

/** One line. */
export interface Tick {
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

export type Picture = { bar: string; cached: number | null; pages: number };
/** Looks at what --map asks for; `null`: nothing was. */
export type Look = (pid: number) => Picture | null;

export interface Counts {
  minor: number;
  major: number;
}

export function since(before: Counts, after: Counts): Counts {
  return { minor: after.minor - before.minor, major: after.major - before.major };
}

function countsOf({ minorFaults, majorFaults }: ProcessStat): Counts {
  return { minor: minorFaults, major: majorFaults };
}

export interface Subject {
  readonly pid: number;
  readonly name: string;
  /** Of a command that was started to be watched: all that it does counts. */
  readonly child: RunningChild | null;
  /** The faults of the child once it has ended, and of all that it waited for. */
  readonly reaped?: () => Counts;
}

/** Bytes that came into memory by the name of mappings. */
export type Growth = { name: string; resident: number };

function growth({
  added,
  removed,
  changed,
}: Pick<SnapshotDiff, 'added' | 'removed' | 'changed'>): Growth[] {
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

/** Faults by mapping and kind. */
type Traced = Map<string, Map<FaultKind, number>>;

/** Watches one process. */
export class Watch {
  readonly #pid: number;
  readonly #isChild: boolean;
  readonly #look: Look;
  readonly #trace: FaultTrace | null;
  readonly #start = performance.now();
  /** Tells the process from one that gets its number later; `null`: our child keeps it. */
  readonly #startTicks: bigint | null;
  /** What does not count: faults before the watch, or of what became the command. */
  readonly base: Counts;
  /** At the last look; `null`: there was none. */
  #last: Counts | null = null;
  #lastTime = this.#start;
  readonly #first: Snapshot | null;
  /** The kernel does not show its mappings to this user. */
  #isDenied = false;
  #lastMemory: Snapshot | null = null;
  readonly traced: Traced = new Map();
  lost = 0;
  #maps: MapEntry[] = [];
  /** Looks at all mappings may cost this share of the time. */
  #lookCost = 0;
  #nextLook = 0;

  constructor({ pid, child }: Subject, look: Look, trace: FaultTrace | null) {
    this.#pid = pid;
    this.#isChild = child !== null;
    this.#look = look;
    this.#trace = trace;
    const stat = child && !trace ? null : readStat(pid);
    this.base = stat ? countsOf(stat) : { minor: 0, major: 0 };
    this.#startTicks = child ? null : (stat as ProcessStat).startTicks;
    this.#first = child ? null : this.#trySnapshot();
  }

  get isTraced(): boolean {
    return this.#trace !== null;
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
      this.#isDenied = code === 'EACCES' || code === 'EPERM';
      if (code === 'ESRCH' || this.#isDenied) return null;
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

  #readStat(): ProcessStat | null {
    const stat = readStat(this.#pid);
    return this.#startTicks === null || stat.startTicks === this.#startTicks ? stat : null;
  }

  #lookNow() {
    const stat = this.#readStat();
    if (stat === null || stat.state === 'Z') return null;
    const status = readStatus(this.#pid);
    this.takeTrace();
    const picture = this.#look(this.#pid);
    const time = performance.now();
    const counts = countsOf(stat);
    const { minor, major } = since(this.#last ?? this.base, counts);
    const seconds = Math.max(0.001, (time - this.#lastTime) / 1000);
    [this.#last, this.#lastTime] = [counts, time];
    if (!this.#isDenied && time >= this.#nextLook) this.#remember();
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

  #remember(): void {
    this.#lastMemory = this.#trySnapshot() ?? this.#lastMemory;
  }

  /** Looks a last time. @returns Whether that was possible: else what came last is not known. */
  finish(): boolean {
    try {
      const stat = this.#readStat();
      if (stat === null) return false;
      this.#last = countsOf(stat);
      if (stat.state !== 'Z' && !this.#isDenied) this.#remember();
      return true;
    } catch (error) {
      if (describeError(error).code === 'ESRCH') return false;
      throw error;
    }
  }

  /** Faults up to the last look; `null`: there was none. */
  get counts(): Counts | null {
    return this.#last && since(this.base, this.#last);
  }

  /** What grew up to the last look at the mappings; `null`: there was none, or none may be. */
  get growth(): Growth[] | null {
    if (this.#lastMemory === null) return null;
    if (this.#isChild) return growth({ added: this.#lastMemory.maps, removed: [], changed: [] });
    return this.#first && growth(diff(this.#first, this.#lastMemory));
  }

  /** Why it is not known what grew. */
  get gap(): string {
    return this.#isDenied
      ? 'the mappings of this process may not be read: what grew is unknown'
      : 'it ended before its mappings were looked at again: what grew is unknown';
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
