/**
 * Ctrl-C and its like: work ends at the next point where it can, the summary is printed, and the exit
 * code tells which signal it was.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { exitCodeOfSignal } from './exit.ts';
import { unheardSignal } from './screen.ts';

/** The names of signals that ask a command to end; SIGHUP: its terminal is closed. */
const asked = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** One request may come as two signals, to the process and to its group: from npm, timeout, a shell. */
const echoMilliseconds = 200;

/** How a command was asked to end. */
export interface Interruption {
  readonly signal: AbortSignal;
  /** Which signal came; `null`: none so far. */
  readonly name: NodeJS.Signals | null;
}

/** Listens until it is closed. A second request ends the process at once. */
class Requests implements Interruption {
  readonly #controller = new AbortController();
  #name: NodeJS.Signals | null = null;
  #time = 0;

  constructor() {
    for (const one of asked) process.on(one, this.#end);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get name(): NodeJS.Signals | null {
    return this.#name;
  }

  readonly #end = (name: NodeJS.Signals) => {
    const now = performance.now();
    if (this.#name === null) {
      this.#name = name;
      this.#time = now;
      this.#controller.abort();
    } else if (now - this.#time > echoMilliseconds) {
      process.exit(exitCodeOfSignal(name)); // what has to be removed goes with the process
    }
  };

  /** Ends, also when nobody reads what is printed. */
  endUnheard(): void {
    unheardSignal.addEventListener('abort', () => this.#controller.abort(), { once: true });
    if (unheardSignal.aborted) this.#controller.abort();
  }

  close(): void {
    for (const one of asked) process.off(one, this.#end);
  }
}

interface WorkOptions {
  /** It goes on and on, and all it does is print: it ends when nobody reads. Default false. */
  onlyPrints?: boolean;
}

/**
 * Runs work that ends early when its signal aborts.
 * @returns 128 and the number of the signal that came, else what `work` returns.
 */
export async function interruptible(
  work: (interruption: Interruption) => Promise<number>,
  { onlyPrints = false }: WorkOptions = {},
): Promise<number> {
  const requests = new Requests();
  if (onlyPrints) requests.endUnheard();
  try {
    const code = await work(requests);
    return requests.name === null ? code : exitCodeOfSignal(requests.name);
  } finally {
    requests.close();
  }
}

/** Longer than this a timer of Node.js does not wait: it fires at once (2^31 ms). */
const longestSeconds = 86_400;

/** Waits so many seconds, `Infinity` for ever, or until the signal comes. */
export async function pause(seconds: number, signal?: AbortSignal): Promise<void> {
  let left = seconds;
  try {
    do {
      await sleep(Math.min(left, longestSeconds) * 1000, undefined, signal ? { signal } : {});
      left -= longestSeconds;
    } while (left > 0);
  } catch (error) {
    if (!signal?.aborted) throw error;
  }
}
