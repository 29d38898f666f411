/**
 * Ctrl-C: work ends at the next point where it can, the summary is printed, and the exit code tells.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Exit } from './exit.ts';

/** The names of signals that ask a command to end. */
const asked = ['SIGINT', 'SIGTERM'] as const;

/** How a command was asked to end. */
export interface Interruption {
  readonly signal: AbortSignal;
  /** Which signal came; `null`: none so far. */
  readonly name: NodeJS.Signals | null;
}

/**
 * Runs work that ends early when its signal aborts. A second Ctrl-C ends the process at once.
 * @returns 130 after SIGINT, else what `work` returns.
 */
export async function interruptible(
  work: (interruption: Interruption) => Promise<number>,
): Promise<number> {
  const controller = new AbortController();
  let name: NodeJS.Signals | null = null;
  const end = (signal: NodeJS.Signals) => {
    name = signal;
    for (const one of asked) process.off(one, end);
    controller.abort();
  };
  for (const one of asked) process.on(one, end);
  try {
    const code = await work({
      signal: controller.signal,
      get name() {
        return name;
      },
    });
    return name === 'SIGINT' ? Exit.interrupted : code;
  } finally {
    for (const one of asked) process.off(one, end);
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
