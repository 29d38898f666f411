/**
 * How far long work is, on the status line.
 */
import { formatPercent, formatSize } from './format.ts';
import type { Output } from './output.ts';

/** Tells bytes done of bytes in all, with the speed; call it as often as you like. */
export class Progress {
  readonly #out: Output;
  readonly #what: string;
  readonly #total: number;
  readonly #start = performance.now();
  #told = 0;

  constructor(out: Output, what: string, total: number) {
    this.#out = out;
    this.#what = what;
    this.#total = total;
  }

  tell(done: number): void {
    const now = performance.now();
    if (now - this.#told < 100) return; // ten times a second is enough for eyes
    this.#told = now;
    const speed = done / ((now - this.#start) / 1000);
    const percent = formatPercent(done, this.#total);
    this.#out.status(
      `${this.#what}: ${formatSize(done)} of ${formatSize(this.#total)} (${percent}), ${formatSize(speed)}/s`,
    );
  }

  end(): void {
    this.#out.status('');
  }
}
