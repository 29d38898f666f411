/**
 * What work on a file cost: time, speed and page faults.
 */
import { pageFaults } from '../inspect/index.ts';
import { formatCount, formatDuration, formatSize } from './format.ts';

export interface Cost {
  readonly seconds: number;
  readonly bytesPerSecond: number | null;
  readonly faults: { readonly minor: number; readonly major: number };
}

/** Call it before the work; what it returns, call after. */
export function measure(): (bytes: number) => Cost {
  const start = performance.now();
  const before = pageFaults();
  return (bytes) => {
    const seconds = (performance.now() - start) / 1000;
    const after = pageFaults();
    return {
      seconds,
      bytesPerSecond: seconds > 0 ? bytes / seconds : null,
      faults: { minor: after.minor - before.minor, major: after.major - before.major },
    };
  };
}

export function costText({ seconds, bytesPerSecond, faults }: Cost): string {
  const speed = bytesPerSecond === null ? '' : `, ${formatSize(bytesPerSecond)}/s`;
  const met = `${formatCount(faults.minor)} minor and ${formatCount(faults.major)} major faults`;
  return `${formatDuration(seconds * 1000)}${speed}, ${met}`;
}
