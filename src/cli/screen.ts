/**
 * Where lines go: what is said to stdout, what is going on to a status line on stderr, which only
 * a terminal has.
 */
import { closeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { Exit } from './exit.ts';
import { type ColorChoice, type Paint, paintFor } from './format.ts';

const clearLine = '\r\u001b[K';

const unheard = new AbortController();

/**
 * Aborts when stdout takes nothing more: the reader of a pipe has seen enough, or a disk is full.
 * Nothing is said there from then on; the work goes on, as its exit code may be what was asked for.
 */
export const unheardSignal: AbortSignal = unheard.signal;

let lossCode: number = Exit.trouble;

/** The exit code where the output was lost, which a reader who has seen enough does not count as. */
export function setLossCode(exitCode: number): void {
  lossCode = exitCode;
}

function tellLoss({ message }: Error): void {
  write(process.stderr, `memmap: Cannot write the output: ${message}\n`);
  process.once('exit', () => {
    if (Number(process.exitCode ?? Exit.ok) < Exit.trouble) process.exitCode = lossCode;
  });
}

/**
 * Node.js gives terminals their modes back at its end, and aborts where one is gone. It leaves alone
 * what is closed.
 */
function leaveTerminals(terminals: readonly number[]): void {
  for (const fd of terminals) if (!isatty(fd)) closeSync(fd);
}

let isListening = false;

function onLoss(error: NodeJS.ErrnoException): void {
  if (unheardSignal.aborted) return;
  unheard.abort();
  if (error.code !== 'EPIPE') tellLoss(error);
}

/** From now on no stream that is closed or full ends this process. */
export function outliveReaders(): void {
  if (isListening) return;
  isListening = true;
  process.stdout.on('error', onLoss);
  process.stderr.on('error', () => {}); // nobody is left to be told
  const terminals = [0, 1, 2].filter((fd) => isatty(fd));
  if (terminals.length > 0) process.once('exit', () => leaveTerminals(terminals));
}

/** Deno throws what is an event on Node.js. */
function write(stream: NodeJS.WriteStream, text: string): void {
  try {
    stream.write(text);
  } catch (error) {
    if (stream === process.stdout) onLoss(error as NodeJS.ErrnoException);
  }
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
    outliveReaders();
  }

  print(lines: string[]): void {
    if (lines.length === 0 || unheardSignal.aborted) return;
    this.#erase();
    write(process.stdout, `${lines.join('\n')}\n`);
    this.#draw();
  }

  complain(lines: string[]): void {
    this.status('');
    write(process.stderr, `${lines.join('\n')}\n`);
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
