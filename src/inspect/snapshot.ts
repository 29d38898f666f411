/**
 * The memory of a process at a moment, as a value that survives JSON, and what changed between two.
 */
import { invalidArgument, MemmapError } from '../core/errors.ts';
import type { Unknown } from '../core/unknown.ts';
import { object } from '../core/validate.ts';
import { type Account, accountOf, addAccounts, unknownAccount } from './accounting.ts';
import { readMaps, readStat, readStatus } from './maps.ts';
import type { MapKind } from './parse/maps.ts';
import { type SmapsEntry, SmapsTable } from './parse/smaps.ts';
import { checkProcess, type ProcessId, readMappingsOr } from './proc.ts';

/** Names the form of a snapshot; another number is another form. */
const snapshotSchema = 'memmap.snapshot/1';

/** A mapping in a snapshot. */
export interface SnapshotMap extends Account {
  /** Addresses in hexadecimal: they do not fit into the numbers of JSON. */
  readonly start: string;
  readonly end: string;
  readonly permissions: string;
  readonly kind: MapKind;
  readonly name: string | null;
  /** Of the file, in bytes, hexadecimal. */
  readonly offset: string;
}

/** The memory of a process at a moment. `JSON.parse(JSON.stringify(snapshot))` is the same. */
export interface Snapshot {
  readonly schema: typeof snapshotSchema;
  readonly pid: number;
  readonly name: string;
  /** Clock ticks since boot when the process was started, in decimal. */
  readonly startTicks: string;
  /** ISO 8601. */
  readonly takenAt: string;
  readonly faults: { readonly minor: number; readonly major: number };
  /** Bytes; `null`: unknown. */
  readonly resident: {
    readonly anonymous: number | null;
    readonly file: number | null;
    readonly shared: number | null;
    readonly swapped: number | null;
  };
  readonly total: Account;
  readonly maps: readonly SnapshotMap[];
  readonly unknown: readonly Unknown[];
}

const hex = (value: bigint) => `0x${value.toString(16)}`;

function snapshotMap(entry: SmapsEntry): SnapshotMap {
  const account = entry.rss === undefined ? unknownAccount(entry.length) : accountOf(entry);
  return {
    start: hex(entry.start),
    end: hex(entry.end),
    permissions: entry.permissions,
    kind: entry.kind,
    name: entry.name,
    offset: hex(entry.offset),
    ...account,
  };
}

/**
 * Takes a snapshot. Its parts are read one after the other: a process that runs meanwhile may have
 * changed between them.
 * @throws MemmapError ESRCH, EACCES.
 */
export function snapshot(pid: ProcessId = 'self'): Snapshot {
  checkProcess(pid);
  const gaps: Unknown[] = [];
  const smaps = readMappingsOr(pid, gaps);
  const entries = smaps === null ? readMaps(pid) : new SmapsTable(smaps).entries();
  const maps = entries.map(snapshotMap);
  const stat = readStat(pid);
  const status = readStatus(pid);
  return {
    schema: snapshotSchema,
    pid: stat.pid,
    name: stat.name,
    startTicks: String(stat.startTicks),
    takenAt: new Date().toISOString(),
    faults: { minor: stat.minorFaults, major: stat.majorFaults },
    resident: {
      anonymous: status.residentAnonymous ?? null,
      file: status.residentFile ?? null,
      shared: status.residentShared ?? null,
      swapped: status.swapped ?? null,
    },
    total: addAccounts(maps),
    maps,
    unknown: gaps,
  };
}

/** How one quantity changed; `change` is `null` where one of both is unknown. */
export interface Change {
  readonly before: number | null;
  readonly after: number | null;
  readonly change: number | null;
}

/** A mapping that changed. */
export interface MapChange {
  readonly before: SnapshotMap;
  readonly after: SnapshotMap;
  /** The names of what differs: `'resident'`, `'permissions'`, `'end'`, ... */
  readonly changed: readonly (keyof SnapshotMap)[];
}

/** The answer of {@link diff}. */
export interface SnapshotDiff {
  /** Both are of the same process, not of one that got its number later. */
  readonly sameProcess: boolean;
  /** Milliseconds from the first to the second. */
  readonly elapsed: number;
  readonly added: readonly SnapshotMap[];
  readonly removed: readonly SnapshotMap[];
  readonly changed: readonly MapChange[];
  readonly total: Readonly<Record<keyof Account, Change>>;
  readonly faults: { readonly minor: number; readonly major: number };
}

function changeOf(before: number | null, after: number | null): Change {
  return { before, after, change: before === null || after === null ? null : after - before };
}

function checkSnapshot(name: string, value: unknown): asserts value is Snapshot {
  object(name, value);
  const { schema } = value as { schema?: unknown };
  if (schema === snapshotSchema) {
    const { maps, total, faults, pid, takenAt } = value as Partial<Snapshot>;
    if (!Array.isArray(maps) || maps.some((map) => typeof map?.start !== 'string')) {
      throw invalidArgument(`${name}.maps`, 'an array of mappings', maps);
    }
    object(`${name}.total`, total);
    object(`${name}.faults`, faults);
    if (typeof pid !== 'number') throw invalidArgument(`${name}.pid`, 'of type number', pid);
    if (typeof takenAt !== 'string') {
      throw invalidArgument(`${name}.takenAt`, 'of type string', takenAt);
    }
    return;
  }
  const state = `${name} has the schema ${JSON.stringify(schema) ?? 'of nothing'}`;
  throw new MemmapError('EINVAL', `Cannot compare snapshots: ${state}, not ${snapshotSchema}`, {
    hint: 'take both with the same version of memmap',
  });
}

/** A mapping that grows keeps its start; the rights of one may change. */
function keyOf(map: SnapshotMap): string {
  return `${map.start} ${map.name ?? ''}`;
}

/**
 * What changed between two snapshots, of one process or of two. A mapping is the same one when it
 * starts at the same address and has the same name.
 * @throws MemmapError EINVAL where one of them is no snapshot of this version.
 */
export function diff(before: Snapshot, after: Snapshot): SnapshotDiff {
  checkSnapshot('before', before);
  checkSnapshot('after', after);
  const old = new Map(before.maps.map((map) => [keyOf(map), map]));
  const added: SnapshotMap[] = [];
  const changed: MapChange[] = [];
  for (const map of after.maps) {
    const former = old.get(keyOf(map));
    old.delete(keyOf(map));
    if (!former) {
      added.push(map);
      continue;
    }
    const names = (Object.keys(map) as (keyof SnapshotMap)[]).filter(
      (name) => map[name] !== former[name],
    );
    if (names.length > 0) changed.push({ before: former, after: map, changed: names });
  }
  const quantities = Object.keys(after.total) as (keyof Account)[];
  return {
    sameProcess: before.pid === after.pid && before.startTicks === after.startTicks,
    elapsed: Date.parse(after.takenAt) - Date.parse(before.takenAt),
    added,
    removed: [...old.values()],
    changed,
    total: Object.fromEntries(
      quantities.map((name) => [name, changeOf(before.total[name], after.total[name])]),
    ) as Record<keyof Account, Change>,
    faults: {
      minor: after.faults.minor - before.faults.minor,
      major: after.faults.major - before.faults.major,
    },
  };
}
