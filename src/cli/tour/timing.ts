/**
 * Times of several ways to do one thing, taken in turns, so that what else happens on the machine
 * falls on all of them.
 */

export interface Contestant {
  label: string;
  /** Does it once; the answers of all of them must be the same. */
  work: () => number | string | undefined;
}

export interface RaceOptions {
  /** Each contestant runs so often, after one run that is not counted. Default 5. */
  rounds?: number;
  /** Operations in one run: the time is that of one of them. Default 1. */
  operations?: number;
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** Median milliseconds of each; throws when they do not agree on the answer. */
export async function race(
  contestants: Contestant[],
  { rounds = 5, operations = 1 }: RaceOptions,
  betweenRounds: () => Promise<void>,
): Promise<{ label: string; value: number }[]> {
  const times = contestants.map((): number[] => []);
  const answers = new Map<string, number | string | undefined>();
  for (let round = 0; round <= rounds; round++) {
    await betweenRounds();
    for (const [i, { label, work }] of contestants.entries()) {
      const start = performance.now();
      const answer = work();
      const time = performance.now() - start;
      if (round > 0) times[i]?.push(time);
      answers.set(label, answer);
    }
    if (new Set(answers.values()).size > 1) {
      const given = [...answers].map(([label, answer]) => `${label}: ${answer}`).join('; ');
      throw new Error(`Cannot compare: the answers differ (${given})`);
    }
  }
  return contestants.map(({ label }, i) => ({
    label,
    value: median(times[i] ?? []) / operations,
  }));
}

/** The longest time that the event loop stood still while `work` went on. */
export async function longestGap(work: () => Promise<void> | void): Promise<number> {
  let longest = 0;
  let last = performance.now();
  const look = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  };
  const timer = setInterval(look, 1);
  try {
    await work();
    // One more turn: a gap ends when the loop comes round again.
    await new Promise((resolve) => setTimeout(resolve, 2));
    look();
  } finally {
    clearInterval(timer);
  }
  return longest;
}
