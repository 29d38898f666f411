/**
 * The address space of a process, grouped: where its memory goes.
 */
import { native } from '../binding/native.ts';
import { type Unknown, unknown } from '../core/unknown.ts';
import { boolean, object, oneOf } from '../core/validate.ts';
import { type Account, accountOf, addAccounts, unknownAccount } from './accounting.ts';
import { readMaps, readSmaps, readStatus } from './maps.ts';
import type { MapKind } from './parse/maps.ts';
import type { SmapsEntry } from './parse/smaps.ts';
import { checkProcess, type ProcessId, tryReadNumber } from './proc.ts';

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

/** Groups mappings; a pure function, for entries from anywhere (a snapshot, a test). */
export function groupMaps(entries: readonly SmapsEntry[], by: Grouping): AddressSpaceGroup[] {
  const groups = new Map<string, SmapsEntry[]>();
  for (const entry of entries) {
    const name = nameOf(entry, by);
    const group = groups.get(name);
    if (group) group.push(entry);
    else groups.set(name, [entry]);
  }
  const size = (group: Account) => group.resident ?? 0;
  return [...groups]
    .map(([name, members]) => {
      const isAlike = members.every((member) => member.kind === members[0]?.kind);
      const kind = isAlike ? (members[0]?.kind ?? null) : null;
      return { name, kind, ...addAccounts(members.map(account)), entries: members };
    })
    .sort((a, b) => size(b) - size(a) || b.virtual - a.virtual);
}

function account(entry: SmapsEntry): Account {
  return entry.rss === undefined ? unknownAccount(entry.length) : accountOf(entry);
}

/** What lies between mappings, in the order of addresses. */
export function gapsBetween(entries: readonly SmapsEntry[]): Gap[] {
  const gaps: Gap[] = [];
  for (let index = 1; index < entries.length; index++) {
    const start = (entries[index - 1] as SmapsEntry).end;
    const end = (entries[index] as SmapsEntry).start;
    if (end > start) gaps.push({ start, end, length: end - start });
  }
  return gaps;
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
  checkProcess(pid);
  object('options', options);
  const { by = 'kind', cheap = false } = options;
  oneOf('options.by', by, ['kind', 'file', 'permissions', 'none']);
  boolean('options.cheap', cheap);
  const gaps: Unknown[] = [];
  const entries = readEntries(pid, cheap, gaps);
  const groups = groupMaps(entries, by);
  return {
    pid,
    pageSize: native.pageBytes,
    groups,
    total: addAccounts(groups),
    locked: readStatus(pid).locked ?? null,
    maximumMaps: tryReadNumber('/proc/sys/vm/max_map_count'),
    gaps: gapsBetween(entries),
    unknown: gaps,
  };
}

function readEntries(pid: ProcessId, cheap: boolean, gaps: Unknown[]): SmapsEntry[] {
  if (cheap) {
    gaps.push(unknown('memory', 'only the address space was asked for', 'leave out cheap'));
    return readMaps(pid);
  }
  try {
    return readSmaps(pid);
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_MEMMAP_UNSUPPORTED') throw error;
    gaps.push(unknown('memory', 'this kernel was built without smaps (CONFIG_PROC_PAGE_MONITOR)'));
    return readMaps(pid);
  }
}
