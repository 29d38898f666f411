/**
 * Which pages of a mapping were stored to.
 */
import { Fact, type NativeFailure, native } from '../binding/native.ts';
import type { Span } from '../core/range.ts';

/** A run of written pages in bytes of the mapping, cut to it. */
export type WrittenRange = Span;

const wordsPerRun = 3;
const runsPerCall = 512;

/**
 * Collects the runs of a span.
 * @param mode Of `Written`: what counts as written.
 * @throws NativeFailure EPERM where the stores are not watched, ENOSYS where the kernel cannot.
 */
export function collectWritten(mapping: object, span: Span, mode: number): WrittenRange[] {
  const runs = new BigUint64Array(wordsPerRun * runsPerCall);
  const ranges: WrittenRange[] = [];
  const end = span.offset + span.length;
  for (let at = span.offset; at < end; ) {
    const found = native.written(mapping, at, end - at, mode, runs);
    for (let run = 0; run < found; run++) {
      const first = Number(runs[wordsPerRun * run]);
      const behind = Number(runs[wordsPerRun * run + 1]);
      const last = ranges.at(-1);
      // Where one call ended in the middle of a run, the next goes on with it.
      if (last && last.offset + last.length === first) {
        ranges[ranges.length - 1] = { offset: last.offset, length: behind - last.offset };
      } else ranges.push({ offset: first, length: behind - first });
    }
    const next = native.facts[Fact.end] as number;
    if (next <= at) break;
    at = next;
  }
  return ranges;
}

export function isNotWatched(error: unknown): boolean {
  return (error as NativeFailure).syscall === 'ioctl' && (error as NativeFailure).errno === -1;
}
