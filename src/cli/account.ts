/**
 * The memory of mappings as the commands show and tell it.
 */
import type { Account, SmapsEntry } from '../inspect/index.ts';
import { bar, printable, size } from './format.ts';
import type { Column } from './table.ts';

/** Columns of quantities that every table of mappings has; sizes in bytes. */
export type Quantity = Exclude<keyof Account, 'maps' | 'freeable' | 'needsWriteBack' | 'needsSwap'>;

const labels: Record<Quantity, string> = {
  virtual: 'VIRT',
  resident: 'RSS',
  proportional: 'PSS',
  shared: 'SHARED',
  private: 'PRIVATE',
  dirty: 'DIRTY',
  swap: 'SWAP',
  huge: 'HUGE',
  locked: 'LOCKED',
};
const quantities = Object.keys(labels) as Quantity[];

export function quantityColumns<Row extends Account>(
  names: readonly Quantity[] = quantities,
): Column<Row>[] {
  return names.map((name) => ({
    label: labels[name],
    text: (row) => size(row[name]),
    plain: (row) => row[name],
  }));
}

/** A bar of one quantity, as long as its share of the largest. */
export function barColumn<Row extends Account>(
  name: Quantity,
  rows: readonly Row[],
  width: number,
  ascii: boolean,
): Column<Row> {
  const largest = Math.max(0, ...rows.map((row) => row[name] ?? 0));
  return {
    label: '',
    align: 'left',
    isPicture: true,
    text: (row) => {
      const drawn = bar(row[name] ?? 0, largest, width);
      return ascii ? '#'.repeat(drawn.length) : drawn;
    },
    style: () => 'cyan',
  };
}

/** What a mapping is called: its file with `(deleted)`, or its kind. */
export function mappingName(entry: SmapsEntry): string {
  if (entry.name === null) return `(${entry.kind})`;
  return printable(entry.name) + (entry.deleted ? ' (deleted)' : '');
}

/** `1.0`: by how many processes its pages are mapped, on the average; `null`: unknown. */
export function mappedBy(account: Account): number | null {
  if (!account.resident || !account.proportional) return null;
  return Math.max(1, account.resident / account.proportional);
}

/** A mapping as JSON tells it. */
export function mappingRecord(entry: SmapsEntry, account: Account): Record<string, unknown> {
  const { start, end, permissions, shared, offset, device, inode, name, deleted, kind } = entry;
  const { maps: _one, ...quantitiesOfIt } = account;
  return {
    start,
    end,
    permissions,
    sharedMapping: shared,
    kind,
    name,
    deleted,
    offset,
    device: `${device.major}:${device.minor}`,
    inode: inode.toString(),
    flags: entry.flags ?? null,
    mappedBy: mappedBy(account),
    ...quantitiesOfIt,
  };
}
