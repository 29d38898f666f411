/**
 * Snapshots as files, and what changed between two of them.
 */
import { readFileSync } from 'node:fs';
import type { Account, Change, Snapshot, SnapshotDiff, SnapshotMap } from '../inspect/index.ts';
import { describeError, usage } from './errors.ts';
import { formatCount, formatDuration, formatSize, printable, size } from './format.ts';
import type { Output } from './output.ts';

/** @throws CommandError where it is none. Whether it is of this version, `diff` looks at. */
export function readSnapshot(path: string): Snapshot {
  let text: string;
  try {
    text = readFileSync(path === '-' ? 0 : path, 'utf8');
  } catch (error) {
    throw usage(`Cannot read the snapshot: ${describeError(error).message}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = null;
  }
  if (typeof value === 'object' && value !== null && 'schema' in value) return value as Snapshot;
  throw usage(`${printable(path)} is not a snapshot`, 'memmap snapshot PID > FILE writes one');
}

/** `+4K`, `-1.5M`, `?` */
export function signed(change: number | null): string {
  if (change === null) return '?';
  return change > 0 ? `+${formatSize(change)}` : formatSize(change);
}

/** A mapping that came, went or changed. */
interface Line {
  sign: '+' | '-' | '~';
  map: SnapshotMap;
  before: SnapshotMap | null;
}

const quantityNames = [
  'virtual',
  'resident',
  'proportional',
  'private',
  'dirty',
  'swap',
  'locked',
] as const satisfies readonly (keyof Account)[];

function weight({ map, before, sign }: Line): number {
  const resident = map.resident ?? 0;
  return sign === '~' ? Math.abs(resident - (before?.resident ?? 0)) : resident;
}

function changeOfLine({ sign, map, before }: Line, name: keyof Account): number | null {
  const now = map[name];
  if (now === null) return null;
  if (sign === '+') return now;
  if (sign === '-') return -now;
  const then = before?.[name];
  return then === null || then === undefined ? null : now - then;
}

function linesOf({ added, removed, changed }: SnapshotDiff): Line[] {
  const lines: Line[] = [
    ...added.map((map) => ({ sign: '+' as const, map, before: null })),
    ...removed.map((map) => ({ sign: '-' as const, map, before: null })),
    ...changed.map(({ before, after }) => ({ sign: '~' as const, map: after, before })),
  ];
  return lines.sort((a, b) => weight(b) - weight(a));
}

export function showDiff(difference: SnapshotDiff, { top }: { top: number }, out: Output): void {
  const { total, faults, elapsed, sameProcess } = difference;
  if (!sameProcess) out.warn('the snapshots are of two processes');
  const met = `${formatCount(faults.minor)} minor and ${formatCount(faults.major)} major faults`;
  out.text(`${formatDuration(elapsed)} apart, ${met}`, '');
  if (out.mode === 'text') {
    out.table(
      [
        { label: '', align: 'left', text: ([name]) => name },
        { label: 'BEFORE', text: ([, change]) => size(change.before) },
        { label: 'AFTER', text: ([, change]) => size(change.after) },
        { label: 'CHANGE', text: ([, { change }]) => signed(change) },
      ],
      quantityNames.map((name): [string, Change] => [name, total[name]]),
    );
    out.text('');
  }
  const lines = linesOf(difference);
  out.table(
    [
      {
        label: '',
        align: 'left',
        text: ({ sign }) => sign,
        style: ({ sign }) => (sign === '+' ? 'green' : sign === '-' ? 'red' : 'yellow'),
      },
      { label: 'ADDRESS', text: ({ map }) => map.start.slice(2) },
      { label: 'PERM', text: ({ map }) => map.permissions },
      ...(['virtual', 'resident', 'private', 'dirty'] as const).map((name) => ({
        label: name.toUpperCase(),
        text: (line: Line) => signed(changeOfLine(line, name)),
        plain: (line: Line) => changeOfLine(line, name),
      })),
      {
        label: 'NAME',
        align: 'left',
        text: ({ map }) => (map.name === null ? `(${map.kind})` : printable(map.name)),
      },
    ],
    out.mode === 'plain' ? lines : lines.slice(0, top),
  );
  if (lines.length > top) out.text(out.paint('dim', `and ${lines.length - top} more (--top)`));
  if (lines.length === 0) out.text('No mapping changed.');
}

/** What changed, as JSON tells it. */
export function diffRecord(difference: SnapshotDiff): Record<string, unknown> {
  return { ...difference };
}
