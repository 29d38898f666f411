/**
 * Where a command says what: data to stdout in one of four forms, messages to stderr.
 *
 *   text     for people: tables, bars, colours on a terminal
 *   plain    a record a line, fields between tabs, sizes in bytes, unknown is `?`
 *   json     one document { schema: 'memmap.<command>/1', ... }, unknown is null
 *   ndjson   a document a line, as things happen
 */
import { type Described, describeError } from './errors.ts';
import { type ColorChoice, type Paint, paintFor, printable, type Style, wrap } from './format.ts';
import { Screen } from './screen.ts';
import { type Column, plainLines, tableLines } from './table.ts';

export type Mode = 'text' | 'plain' | 'json' | 'ndjson';

export interface OutputOptions {
  /** The command, as messages name it. */
  command: string;
  mode: Mode;
  color: ColorChoice;
  ascii: boolean;
  quiet: boolean;
  verbose: boolean;
}

/** Values as JSON: what does not fit into its numbers is hexadecimal text, no limit is null. */
export function toJson(value: unknown, indent?: number): string {
  const replace = (_key: string, part: unknown) =>
    typeof part === 'bigint' ? `0x${part.toString(16)}` : part;
  return JSON.stringify(value, replace, indent);
}

function documentOf(command: string, body: Record<string, unknown>): Record<string, unknown> {
  return { schema: `memmap.${command}/1`, ...body };
}

export class Output {
  readonly mode: Mode;
  readonly ascii: boolean;
  readonly verbose: boolean;
  readonly #command: string;
  readonly #quiet: boolean;
  readonly #screen: Screen;
  readonly #paintError: Paint;

  constructor({ command, mode, color, ascii, quiet, verbose }: OutputOptions) {
    this.mode = mode;
    this.ascii = ascii;
    this.verbose = verbose;
    this.#command = command;
    this.#quiet = quiet;
    this.#screen = new Screen({ color, narrowest: 40, widest: 400 });
    this.#paintError = paintFor(process.stderr, process.env, color);
  }

  get paint(): Paint {
    return this.#screen.paint;
  }

  /** Columns of the terminal; 100 elsewhere. */
  get width(): number {
    return this.#screen.width;
  }

  get isTerminal(): boolean {
    return this.#screen.isTerminal;
  }

  /** Lines for people; nothing in the other forms. */
  text(...lines: string[]): void {
    if (this.mode === 'text') this.#screen.print(lines);
  }

  /** Lines as they are. */
  raw(...lines: string[]): void {
    this.#screen.print(lines);
  }

  /** A table, in text and plain. */
  table<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): void {
    if (this.mode === 'text' && rows.length > 0) {
      this.#screen.print(tableLines(columns, rows, this.paint));
    } else if (this.mode === 'plain') this.#screen.print(plainLines(columns, rows));
  }

  /** The document of the command, in JSON; in a stream one of many. */
  document(body: Record<string, unknown>, command = this.#command): void {
    if (this.mode === 'json') this.#screen.print([toJson(documentOf(command, body), 2)]);
    if (this.mode === 'ndjson') this.#screen.print([this.line(body, command)]);
  }

  /** A document on a line, for those who print it themselves. */
  line(body: Record<string, unknown>, command = this.#command): string {
    return toJson(documentOf(command, body));
  }

  /** What went wrong, with its cure. */
  error(error: unknown): Described {
    const described = describeError(error);
    this.tell(described);
    return described;
  }

  tell({ message, hint }: Described): void {
    this.#complain('red', undefined, printable(message));
    if (hint !== null) this.hint(hint);
  }

  /** What should be known besides the data. */
  warn(message: string, about?: string): void {
    if (!this.#quiet) this.#complain('yellow', about, message);
  }

  /** What to do next. */
  hint(message: string): void {
    const isDone = process.geteuid?.() === 0 && /^run as root\b/.test(message);
    if (!this.#quiet && !isDone) this.#screen.complain([`hint: ${message}`]);
  }

  /** A remark for those who asked for more. */
  detail(message: string): void {
    if (this.verbose) this.#screen.complain([`${this.#prefix()}: ${message}`]);
  }

  /** What is going on, for a terminal; nothing ends it. */
  status(text: string): void {
    if (!this.#quiet) this.#screen.status(text);
  }

  /** Text in paragraphs of the width of the terminal, behind a mark. */
  paragraph(mark: string, text: string): void {
    const width = Math.min(100, this.width) - mark.length;
    const pad = ' '.repeat(mark.length);
    this.text(...wrap(text, width).map((line, i) => (i === 0 ? mark : pad) + line));
  }

  #prefix(): string {
    return `memmap ${this.#command}`;
  }

  #complain(style: Style, about: string | undefined, message: string): void {
    const head = about === undefined ? this.#prefix() : `${this.#prefix()}: ${about}`;
    this.#screen.complain([`${this.#paintError(style, head)}: ${message}`]);
  }
}
