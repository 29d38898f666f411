/**
 * Tables: one definition of the columns for people and for programs.
 */
import type { Paint, Style } from './format.ts';

/** A column; a value that is unknown is shown as `?`. */
export interface Column<Row> {
  readonly label: string;
  /** Default `'right'`. */
  readonly align?: 'left' | 'right';
  /** For people. */
  text(row: Row): string;
  /** For programs; default: `text`. */
  plain?(row: Row): string | number | null;
  /** A style for a cell of a row. */
  style?(row: Row): Style | undefined;
  /** Left out of what is for programs. */
  isPicture?: boolean;
}

/** For people: a head and aligned lines. */
export function tableLines<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  paint: Paint,
): string[] {
  const cells = rows.map((row) => columns.map((column) => column.text(row)));
  const widths = columns.map((column, i) =>
    cells.reduce((width, row) => Math.max(width, (row[i] as string).length), column.label.length),
  );
  const align = (text: string, i: number) => {
    const width = widths[i] as number;
    if (columns[i]?.align === 'left') return i === columns.length - 1 ? text : text.padEnd(width);
    return text.padStart(width);
  };
  const head = columns.map((column, i) => align(column.label, i)).join('  ');
  const lines = cells.map((row, index) => {
    const styled = row.map((text, i) => {
      const style = columns[i]?.style?.(rows[index] as Row);
      return style ? paint(style, align(text, i)) : align(text, i);
    });
    return styled.join('  ').trimEnd();
  });
  return [paint('bold', head.trimEnd()), ...lines];
}

/** For programs: a record a line, fields between tabs, unknown is `?`. */
export function plainLines<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string[] {
  const shown = columns.filter((column) => !column.isPicture);
  return rows.map((row) =>
    shown
      .map((column) => {
        const value = column.plain ? column.plain(row) : column.text(row);
        return value === null ? '?' : String(value);
      })
      .join('\t'),
  );
}
