/**
 * Where lines go: what is said to stdout, what is going on to a status line on stderr, which only
 * a terminal has.
 */
import { Exit } from './exit.ts';
import { type ColorChoice, type Paint, paintFor } from './format.ts';

const clearLine = '\r\u001b[K';

let isListening = false;

/** The reader of a pipe may have seen enough: then this process ends without a word. */
export function endWithReader(): void {
  if (isListening) return;
  isListening = true;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(Exit.ok);
    process.stderr.write(`memmap: Cannot write the output: ${error.message}\n`);
    process.exit(Exit.trouble);
  });
}

export interface ScreenOptions {
  color?: ColorChoice;
  /** The narrowest and the widest that lines are laid out for. */
  narrowest?: number;
  widest?: number;
}

export class Screen {
  /** Columns that lines are laid out for. */
  readonly width: number;
  readonly paint: Paint;
  /** Lines go to a terminal. */
  readonly isTerminal = Boolean(process.stdout.isTTY);
  /** There is a terminal for the status line. */
  readonly hasStatus = Boolean(process.stderr.isTTY) && process.env.TERM !== 'dumb';
  #status = '';

  constructor({ color = 'auto', narrowest = 60, widest = 100 }: ScreenOptions = {}) {
    const columns = process.stdout.isTTY ? process.stdout.columns || 80 : 100;
    this.width = Math.max(narrowest, Math.min(widest, columns));
    this.paint = paintFor(process.stdout, process.env, color);
    endWithReader();
  }

  print(lines: string[]): void {
    if (lines.length === 0) return;
    this.#erase();
    process.stdout.write(`${lines.join('\n')}\n`);
    this.#draw();
  }

  complain(lines: string[]): void {
    this.status('');
    process.stderr.write(`${lines.join('\n')}\n`);
  }

  /** What is going on; nothing ends the line. */
  status(text: string): void {
    this.#erase();
    this.#status = text.slice(0, Math.max(20, (process.stderr.columns ?? 80) - 1));
    this.#draw();
  }

  #erase(): void {
    if (this.hasStatus && this.#status !== '') process.stderr.write(clearLine);
  }

  #draw(): void {
    if (this.hasStatus && this.#status !== '') process.stderr.write(this.#status);
  }
}
