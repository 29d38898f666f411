/**
 * What a chapter has to say, and how it is printed. The entries are what `--json` gives; the lines
 * are made of the same entries.
 *
 * A line of a fact or of a comparison has the columns
 *
 *     indent  label (40)  value (13, right)  note, or ratio (8, right) and bar
 */
import {
  bar,
  formatBytes,
  formatCount,
  formatDuration,
  formatRatio,
  type Paint,
  wrap,
} from '../format.ts';

export type Unit = 'bytes' | 'count' | 'ms' | null;
/** `null`: this system does not tell. */
export type Value = string | number | boolean | null;

/** The lines that a user would write. */
interface Code {
  kind: 'code';
  lines: string[];
}
/** One thing that was seen or measured. */
interface Fact {
  kind: 'fact';
  label: string;
  value: Value;
  unit: Unit;
  note: string | null;
}
/** Several that are held against the first of them, in one unit. */
interface Comparison {
  kind: 'comparison';
  label: string;
  unit: Exclude<Unit, null>;
  rows: { label: string; value: number | null }[];
}
/** The same things seen at several moments, or of several subjects. */
export interface Table {
  kind: 'table';
  columns: { label: string; unit: Unit }[];
  rows: Value[][];
}
/** An error that was asked for, with its cure. */
interface Refusal {
  kind: 'refusal';
  tried: string;
  code: string;
  message: string;
  hint: string | null;
}
/** What this machine, or this user of it, does not allow. */
interface Limit {
  kind: 'limit';
  text: string;
}
export type Entry = Code | Fact | Comparison | Table | Refusal | Limit;

export interface ChapterReport {
  name: string;
  title: string;
  about: string;
  status: 'done' | 'failed';
  milliseconds: number;
  entries: Entry[];
  error: { code: string | null; message: string; hint: string | null } | null;
}

export interface Layout {
  width: number;
  paint: Paint;
}

const indent = 3;
const labelWidth = 40;
const valueWidth = 13;
const ratioWidth = 8;

function formatValue(value: Value, unit: Unit): string {
  if (value === null) return 'unknown';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'string') return value;
  if (unit === 'bytes') return formatBytes(value);
  return unit === 'ms' ? formatDuration(value) : formatCount(value);
}

/** The lines of one entry, set off from those of the one before where they are of another kind. */
export function entryLines(entry: Entry, before: Entry | undefined, layout: Layout): string[] {
  const isBlock = entry.kind === 'comparison' || entry.kind === 'table';
  const lines = linesOf(entry, layout);
  return isBlock || entry.kind !== before?.kind ? ['', ...lines] : lines;
}

function linesOf(entry: Entry, layout: Layout): string[] {
  switch (entry.kind) {
    case 'code':
      return entry.lines.map((line) => pad(2) + layout.paint('cyan', line));
    case 'fact':
      return factLines(entry, layout);
    case 'comparison':
      return comparisonLines(entry, layout);
    case 'table':
      return tableLines(entry, layout);
    case 'refusal':
      return refusalLines(entry, layout);
    case 'limit':
      return hanging('! ', entry.text, layout, 'yellow');
  }
}

export function headLines(index: number, title: string, about: string, layout: Layout): string[] {
  const { width, paint } = layout;
  const head = paint('bold', `${String(index).padStart(2)} ${title}`);
  return ['', head, ...wrap(about, width - indent).map((line) => pad() + paint('dim', line))];
}

export function errorLines(error: NonNullable<ChapterReport['error']>, layout: Layout): string[] {
  const lines = ['', ...hanging('FAILED ', error.message, layout, 'red')];
  return error.hint === null ? lines : [...lines, ...hanging('hint: ', error.hint, layout)];
}

function pad(extra = 0): string {
  return ' '.repeat(indent + extra);
}

/** Text behind a mark, its further lines under its first word. */
function hanging(
  mark: string,
  text: string,
  { width, paint }: Layout,
  style?: Parameters<Paint>[0],
  extra = 0,
): string[] {
  const lines = wrap(text, width - indent - extra - mark.length).map(
    (line, i) => (i === 0 ? mark : ' '.repeat(mark.length)) + line,
  );
  return lines.map((line) => pad(extra) + (style ? paint(style, line) : line));
}

function factLines({ label, value, unit, note }: Fact, { width, paint }: Layout): string[] {
  const shown = formatValue(value, unit).padStart(valueWidth);
  const head = `${pad()}${label.padEnd(labelWidth)}${paint('bold', shown)}`;
  if (note === null) return [head];
  const column = indent + labelWidth + valueWidth + 2;
  const notes = wrap(note, Math.max(24, width - column)).map((line) => paint('dim', line));
  return notes.map((line, i) => (i === 0 ? `${head}  ${line}` : ' '.repeat(column) + line));
}

function comparisonLines({ label, unit, rows }: Comparison, { width, paint }: Layout): string[] {
  const values = rows.map((row) => row.value ?? 0);
  const maximum = Math.max(...values);
  const first = rows[0]?.value ?? null;
  const barWidth = Math.max(8, width - indent - 2 - labelWidth - valueWidth - ratioWidth);
  return [
    `${pad()}${label}`,
    ...rows.map((row, i) => {
      const shown = formatValue(row.value, unit).padStart(valueWidth);
      const isTold = i > 0 && unit === 'ms' && first !== null;
      const ratio = isTold && row.value !== null ? formatRatio(row.value / first) : '';
      const drawn = paint(i === 0 ? 'green' : 'dim', bar(row.value ?? 0, maximum, barWidth));
      const name = `  ${row.label}`.padEnd(labelWidth);
      return `${pad()}${name}${paint('bold', shown)}${ratio.padStart(ratioWidth)}  ${drawn}`.trimEnd();
    }),
  ];
}

function tableLines({ columns, rows }: Table, { paint }: Layout): string[] {
  const cells = rows.map((row) => row.map((v, i) => formatValue(v, columns[i]?.unit ?? null)));
  const widths = columns.map((column, i) =>
    Math.max(column.label.length, ...cells.map((row) => row[i]?.length ?? 0)),
  );
  // Numbers stand right, words left; a column of words may end ragged.
  const isText = columns.map((_, i) => rows.every((row) => typeof row[i] === 'string'));
  const align = (text: string, i: number) =>
    isText[i] ? text.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0);
  const line = (row: string[]) => pad() + row.map(align).join('  ').trimEnd();
  return [
    paint('dim', line(columns.map((column) => column.label))),
    ...cells.map((row) => line(row)),
  ];
}

function refusalLines({ tried, code, message, hint }: Refusal, layout: Layout): string[] {
  const { width, paint } = layout;
  const room = Math.max(0, width - indent - tried.length - code.length);
  const head = `${pad()}${paint('cyan', tried)}${' '.repeat(Math.max(2, room))}${paint('bold', code)}`;
  const said = hanging('', message, layout, 'dim', 2);
  return [head, ...said, ...(hint === null ? [] : hanging('hint: ', hint, layout, 'green', 2))];
}
