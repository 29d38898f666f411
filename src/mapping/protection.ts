/**
 * Raising what pages may do for a while, and putting back what each of them had.
 */
import { Fact, native } from '../binding/native.ts';

interface Run {
  readonly offset: number;
  readonly length: number;
  readonly protection: number;
}

/** The runs of pages with one protection. */
function runsOf(mapping: object, byteLength: number): Run[] {
  const runs: Run[] = [];
  for (let offset = 0; offset < byteLength; ) {
    const protection = native.protection(mapping, offset);
    const end = native.facts[Fact.end] as number;
    runs.push({ offset, length: end - offset, protection });
    offset = end;
  }
  return runs;
}

/** Raises every run that may do less; returns what puts them back. Nothing is lowered. */
export function raiseProtection(
  mapping: object,
  byteLength: number,
  protection: number,
): (byteLength: number) => void {
  const lower = runsOf(mapping, byteLength).filter((run) => run.protection < protection);
  const restore = (now: number) => {
    for (const { offset, length, protection: former } of lower) {
      const rest = Math.min(length, now - offset);
      if (rest > 0) native.protect(mapping, offset, rest, former);
    }
  };
  try {
    for (const { offset, length } of lower) native.protect(mapping, offset, length, protection);
  } catch (error) {
    restore(byteLength);
    throw error;
  }
  return restore;
}
