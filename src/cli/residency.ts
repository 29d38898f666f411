/**
 * The residency of a file as the commands show and tell it.
 */
import { type FileResidency, type Holder, residency } from '../inspect/index.ts';
import { type Level, levelOf, levels } from './bar.ts';
import type { Described } from './errors.ts';
import { formatPercent, printable } from './format.ts';
import { type ByteRange, clip } from './size.ts';

/** How to look at a file. */
export interface LookOptions {
  range?: ByteRange | undefined;
  cells?: number | undefined;
  source?: 'cachestat' | 'mincore' | undefined;
}

/** Looks at a file; what of the range lies behind its end is left out. */
export function lookAt(path: string, { range, cells = 0, source }: LookOptions): FileResidency {
  if (range === undefined) return residency(path, { cells, source });
  const { size } = residency(path, { range: { length: 0 } });
  return residency(path, { range: clip(range, size), cells, source });
}

/** Bytes of so many pages. */
export function bytesOf(pages: number | null, { pageSize }: { pageSize: number }): number | null {
  return pages === null ? null : pages * pageSize;
}

/** `576/4096 14%` */
export function share({ cached, pages }: { cached: number | null; pages: number }): string {
  if (cached === null) return `?/${pages}`;
  return `${cached}/${pages} ${formatPercent(cached, pages)}`;
}

/** What a bar or map is of. */
export type Quantity = 'cached' | 'dirty';

function cellLevels(file: FileResidency, quantity: Quantity): Level[] {
  return file.cells.map((cell) => levelOf(cell[quantity], cell.pages));
}

/** `[▄▇█··]` */
export function residencyBar(file: FileResidency, quantity: Quantity, ascii: boolean): string {
  return `[${levels(cellLevels(file, quantity), ascii)}]`;
}

/** Lines of cells with the offset of their first byte. */
export function residencyMap(
  file: FileResidency,
  { quantity, ascii, width }: { quantity: Quantity; ascii: boolean; width: number },
): string[] {
  const all = cellLevels(file, quantity);
  const head = Math.max(6, formatOffset(file.offset + file.length).length);
  const perLine = Math.max(8, width - head - 4);
  const lines: string[] = [];
  for (let at = 0; at < all.length; at += perLine) {
    const offset = formatOffset(file.cells[at]?.offset ?? 0).padStart(head);
    lines.push(`  ${offset}  ${levels(all.slice(at, at + perLine), ascii)}`);
  }
  return lines;
}

function formatOffset(bytes: number): string {
  return bytes === 0 ? '0' : `0x${bytes.toString(16)}`;
}

/** A file as JSON tells it; the names are those of the library. */
export function fileRecord(file: FileResidency): Record<string, unknown> {
  const { device, inode, cells, ...rest } = file;
  return {
    ...rest,
    dev: `${device.major}:${device.minor}`,
    inode: inode.toString(),
    cells: cells.length === 0 ? null : cells.map((c) => [c.cached, c.dirty, c.writeback]),
  };
}

/** A file that could not be looked at, as JSON tells it. */
export function failedRecord(path: string, error: Described): Record<string, unknown> {
  return { path, error };
}

/** A process that maps a file, as JSON tells it. */
export function holderRecord(holder: Holder): Record<string, unknown> {
  const { pid, name, startTicks, resident, locked, mappings } = holder;
  return {
    pid,
    name,
    startTicks: startTicks.toString(),
    resident,
    locked,
    mappings: mappings.map(({ start, end, permissions, offset, rss, flags }) => ({
      start,
      end,
      permissions,
      offset,
      resident: rss ?? null,
      locked: flags?.includes('lo') ?? null,
    })),
  };
}

/** The mappings of a file, as `cache` tells them: a record each, with its process. */
export function mappingRecords(holder: Holder, pageSize: number): Record<string, unknown>[] {
  const { pid, name: comm, startTicks, mappings } = holder;
  return mappings.map(({ start, end, permissions: perm, offset, rss, flags }) => ({
    pid,
    comm,
    startTicks: startTicks.toString(),
    start,
    end,
    perm,
    offset,
    pages: rss === undefined ? null : rss / pageSize,
    locked: flags?.includes('lo') ?? null,
  }));
}

/** `demo(8423) 7f8e9de00000 rw-s` */
export function holderText({ name, pid, mappings }: Holder): string {
  const [first] = mappings;
  const where = first ? ` ${first.start.toString(16)} ${first.permissions}` : '';
  const more = mappings.length > 1 ? ` and ${mappings.length - 1} more` : '';
  return `${printable(name)}(${pid})${where}${more}`;
}
