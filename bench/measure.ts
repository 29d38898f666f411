/**
 * Figures that survive a noisy machine: everything that is compared is timed in turn in one run,
 * several rounds, and the median is quoted, with the ratio of each round's pair.
 */
export interface Contender {
  name: string;
  /** Does the work once and returns what it took, in the row's unit. */
  run(): number | Promise<number>;
}

export interface Row {
  work: string;
  unit: string;
  contenders: Contender[];
  /** What the first contender is held to, said with the ratio to the others. */
  limit?: string;
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** Milliseconds of a synchronous piece of work. */
export function milliseconds(work: () => void): number {
  const start = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - start) / 1e6;
}

function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** Runs a row's contenders in turn and prints their medians and ratios. */
export async function report(row: Row, rounds: number): Promise<void> {
  const times = row.contenders.map(() => [] as number[]);
  for (let round = 0; round < rounds; round++) {
    for (const [index, contender] of row.contenders.entries()) {
      times[index]?.push(await contender.run());
    }
  }
  console.log(`\n${row.work}  [${row.unit}, median of ${rounds} rounds]`);
  const first = times[0] as number[];
  for (const [index, contender] of row.contenders.entries()) {
    const own = times[index] as number[];
    const ratios = own.map((value, round) => (first[round] as number) / value);
    const ratio =
      index === 0 ? '' : `   ${row.contenders[0]?.name} / it = ${figure(median(ratios))}`;
    console.log(`  ${contender.name.padEnd(34)} ${figure(median(own)).padStart(9)}${ratio}`);
  }
  if (row.limit) console.log(`  held to: ${row.limit}`);
}

/** Wrong answers make figures worthless. */
export function expectEqual(actual: unknown, expected: unknown, what: string): void {
  if (actual !== expected) throw new Error(`${what}: ${actual} instead of ${expected}`);
}
