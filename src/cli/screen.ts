/**
 * Where lines go: what is said to stdout, what is going on to a status line on stderr, which only
 * a terminal has.
 */
import { type Paint, paintFor } from '../format.ts';
import type { Layout } from './report.ts';

const clearLine = '\r\u001b[K';

export class Screen implements Layout {
  readonly width: number;
  readonly paint: Paint;
  readonly #hasStatus = process.stderr.isTTY && process.env.TERM !== 'dumb';
  #status = '';

  constructor() {
    const columns = process.stdout.isTTY ? process.stdout.columns || 80 : 100;
    this.width = Math.max(60, Math.min(100, columns));
    this.paint = paintFor(process.stdout);
    // The reader of a pipe may have seen enough.
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0);
      throw error;
    });
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
    this.#status = text.slice(0, this.width - 1);
    this.#draw();
  }

  #erase(): void {
    if (this.#hasStatus && this.#status !== '') process.stderr.write(clearLine);
  }

  #draw(): void {
    if (this.#hasStatus && this.#status !== '') process.stderr.write(this.#status);
  }
}
