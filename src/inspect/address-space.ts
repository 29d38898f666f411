/**
 * The address space of a process, grouped: where its memory goes.
 */
import { inspect } from 'node:util';
import { native } from '../binding/native.ts';
import type { MemmapError } from '../core/errors.ts';
import { type Unknown, unknown } from '../core/unknown.ts';
import { boolean, object, oneOf } from '../core/validate.ts';
import {
  type Account,
  addAccount,
  addAccounts,
  addMapping,
  nothing,
  type Sum,
  unknownAccount,
} from './accounting.ts';
import { readStatus } from './maps.ts';
import type { AddressRange } from './pages.ts';
import { type MapKind, MapTable } from './parse/maps.ts';
import { type AccountedMapping, type SmapsEntry, SmapsTable } from './parse/smaps.ts';
import {
  checkProcess,
  type ProcessId,
  readMappings,
  readSmapsLater,
  tryReadNumber,
} from './proc.ts';

/** How mappings are put together. `'none'`: each for itself. */
export type Grouping = 'kind' | 'file' | 'permissions' | 'none';

export interface AddressSpaceOptions {
  /** Default `'kind'`. */
  by?: Grouping | undefined;
  /** Only what /proc/PID/maps tells, which costs the process nothing. Default false. */
  cheap?: boolean | undefined;
}

/** Mappings alike. */
export interface AddressSpaceGroup extends Account {
  /** The kind, the name, the rights, or the range of addresses: what `by` says. */
  readonly name: string;
  /** The kind of all of them; `null`: of several kinds. */
  readonly kind: MapKind | null;
  readonly entries: readonly SmapsEntry[];
}

/** A range of addresses without a mapping, between two that have one. */
export interface Gap {
  readonly start: bigint;
  readonly end: bigint;
  readonly length: bigint;
}

/** The answer of {@link addressSpace}. */
export interface AddressSpace {
  readonly pid: ProcessId;
  /** Bytes of a page of the system. */
  readonly pageSize: number;
  /** The largest resident first; with `cheap`, the largest address space. */
  readonly groups: readonly AddressSpaceGroup[];
  readonly total: Account;
  /** VmLck: locked bytes of the whole process; `null`: unknown. */
  readonly locked: number | null;
  /** How many mappings the process may have (vm.max_map_count); `null`: unknown. */
  readonly maximumMaps: number | null;
  /** What lies between the mappings, the holes in the address space. */
  readonly gaps: readonly Gap[];
  readonly unknown: readonly Unknown[];
}

/** Mappings by number, as groups need them. */
interface Mappings {
  readonly count: number;
  name(index: number, by: Grouping): string;
  kind(index: number): MapKind;
  addTo(total: Sum, index: number): void;
  entry(index: number): SmapsEntry;
}

function nameOf(entry: SmapsEntry, by: Grouping): string {
  switch (by) {
    case 'kind':
      return entry.kind;
    case 'file':
      return entry.name === null
        ? `(${entry.kind})`
        : entry.name + (entry.deleted ? ' (deleted)' : '');
    case 'permissions':
      return entry.permissions;
    default:
      return `${entry.start.toString(16)}-${entry.end.toString(16)}`;
  }
}

function addTo(total: Sum, entry: AccountedMapping): void {
  if (entry.rss === undefined) addAccount(total, unknownAccount(entry.length));
  else addMapping(total, entry);
}

/** By kind no entries are made; others need them for their names. */
function mappingsOf(table: MapTable): Mappings {
  return {
    count: table.count,
    name: (index, by) => (by === 'kind' ? table.kind(index) : nameOf(table.entry(index), by)),
    kind: (index) => table.kind(index),
    addTo(total, index) {
      if (table instanceof SmapsTable) addTo(total, table.accounted(index));
      else addAccount(total, unknownAccount(table.length(index)));
    },
    entry: (index) => table.entry(index),
  };
}

function listed(entries: readonly SmapsEntry[]): Mappings {
  const at = (index: number) => entries[index] as SmapsEntry;
  return {
    count: entries.length,
    name: (index, by) => nameOf(at(index), by),
    kind: (index) => at(index).kind,
    addTo: (total, index) => addTo(total, at(index)),
    entry: at,
  };
}

/** What is made when it is asked for, and once. */
function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** `console.log` makes what is made late, too; by itself it would say `[Getter]`. */
function shownWhole<T extends object>(late: T): T {
  return Object.defineProperty(late, inspect.custom, { value: () => ({ ...late }) });
}

function groupOf(
  mappings: Mappings,
  by: Grouping,
  name: string,
  members: readonly number[],
): AddressSpaceGroup {
  const first = mappings.kind(members[0] as number);
  const isAlike = by === 'kind' || members.every((index) => mappings.kind(index) === first);
  const total = nothing();
  for (const index of members) mappings.addTo(total, index);
  const entries = once(() => members.map((index) => mappings.entry(index)));
  return shownWhole({
    name,
    kind: isAlike ? first : null,
    ...total,
    get entries() {
      return entries();
    },
  });
}

function groupBy(mappings: Mappings, by: Grouping): AddressSpaceGroup[] {
  const members = new Map<string, number[]>();
  for (let index = 0; index < mappings.count; index++) {
    const name = mappings.name(index, by);
    const others = members.get(name);
    if (others) others.push(index);
    else members.set(name, [index]);
  }
  const size = (group: Account) => group.resident ?? 0;
  return Array.from(members, ([name, indexes]) => groupOf(mappings, by, name, indexes)).sort(
    (a, b) => size(b) - size(a) || b.virtual - a.virtual,
  );
}

/** Groups mappings; a pure function, for entries from anywhere (a snapshot, a test). */
export function groupMaps(entries: readonly SmapsEntry[], by: Grouping): AddressSpaceGroup[] {
  return groupBy(listed(entries), by);
}

/** What lies between mappings, in the order of addresses. */
export function gapsBetween(ranges: readonly AddressRange[]): Gap[] {
  const gaps: Gap[] = [];
  for (let index = 1; index < ranges.length; index++) {
    const start = (ranges[index - 1] as AddressRange).end;
    const end = (ranges[index] as AddressRange).start;
    if (end > start) gaps.push({ start, end, length: end - start });
  }
  return gaps;
}

interface Request {
  readonly by: Grouping;
  readonly cheap: boolean;
}

function checkRequest(pid: ProcessId, options: AddressSpaceOptions): Request {
  checkProcess(pid);
  object('options', options);
  const { by = 'kind', cheap = false } = options;
  oneOf('options.by', by, ['kind', 'file', 'permissions', 'none']);
  boolean('options.cheap', cheap);
  return { by, cheap };
}

/**
 * Where the memory of a process goes. Resident counts huge pages of the pool, which the kernel's
 * own Rss leaves out; `freeable` is what can go without swap and without writing.
 * @throws MemmapError ESRCH; EACCES where the process may not be looked at.
 */
export function addressSpace(
  pid: ProcessId = 'self',
  options: AddressSpaceOptions = {},
): AddressSpace {
  const { by, cheap } = checkRequest(pid, options);
  if (cheap) return cheapSpace(pid, by);
  try {
    return spaceOf(pid, by, new SmapsTable(readMappings(pid, 'smaps')));
  } catch (error) {
    return withoutQuantities(pid, by, error);
  }
}

/**
 * The same off the event loop: the kernel walks over all page tables of the process (4 ms for each
 * GiB that is in memory) on another thread.
 * @throws MemmapError as a rejection: ESRCH; EACCES where the process may not be looked at.
 */
export async function addressSpaceAsync(
  pid: ProcessId = 'self',
  options: AddressSpaceOptions = {},
): Promise<AddressSpace> {
  const { by, cheap } = checkRequest(pid, options);
  if (cheap) return cheapSpace(pid, by);
  try {
    return spaceOf(pid, by, new SmapsTable(await readSmapsLater(pid)));
  } catch (error) {
    return withoutQuantities(pid, by, error);
  }
}

function spaceOf(pid: ProcessId, by: Grouping, table: MapTable, unknowns: Unknown[] = []) {
  const groups = groupBy(mappingsOf(table), by);
  const holes = once(() => gapsBetween(table.ranges()));
  return shownWhole({
    pid,
    pageSize: native.pageBytes,
    groups,
    total: addAccounts(groups),
    locked: readStatus(pid).locked ?? null,
    maximumMaps: tryReadNumber('/proc/sys/vm/max_map_count'),
    get gaps() {
      return holes();
    },
    unknown: unknowns,
  });
}

function cheapSpace(
  pid: ProcessId,
  by: Grouping,
  why = unknown('memory', 'only the address space was asked for', 'leave out cheap'),
): AddressSpace {
  return spaceOf(pid, by, new MapTable(readMappings(pid, 'maps')), [why]);
}

function withoutQuantities(pid: ProcessId, by: Grouping, error: unknown): AddressSpace {
  if ((error as MemmapError).code !== 'ERR_MEMMAP_UNSUPPORTED') throw error;
  const why = 'this kernel was built without smaps (CONFIG_PROC_PAGE_MONITOR)';
  return cheapSpace(pid, by, unknown('memory', why));
}
