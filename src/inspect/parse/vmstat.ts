/**
 * /proc/vmstat: counters of the whole system (mm/vmstat.c), one `name value` a line.
 */
import { linesOf } from './fields.ts';

/** By the kernel's own names: `pgfault`, `pgmajfault`, `nr_dirty`, ...; pages or events. */
export type VmStatistics = Readonly<Record<string, number | undefined>>;

/** Reads the text. */
export function parseVmstat(text: string): VmStatistics {
  const statistics: Record<string, number> = {};
  for (const line of linesOf(text)) {
    const match = /^(\w+) (-?\d+)$/.exec(line);
    if (match) statistics[match[1] as string] = Number(match[2]);
  }
  return statistics;
}
