/**
 * Page faults of a process, as the kernel counts them.
 */
import { readStat } from './maps.ts';
import { checkProcess, type ProcessId } from './proc.ts';

/** Counts since the process was started. */
export interface PageFaults {
  readonly pid: number;
  /** Served without waiting. A page of swap that is still in the page cache counts here. */
  readonly minor: number;
  /** Waited for a page to be read: from a disk, or from zram, which is memory. */
  readonly major: number;
  /** The same of the children that were waited for. */
  readonly children: { readonly minor: number; readonly major: number };
}

/**
 * How often a process met a page that it did not have. Reads ahead and maps around (16 pages as a
 * rule) make one fault of many pages.
 * @throws MemmapError ESRCH.
 */
export function pageFaults(pid: ProcessId = 'self'): PageFaults {
  checkProcess(pid);
  const stat = readStat(pid);
  return {
    pid: stat.pid,
    minor: stat.minorFaults,
    major: stat.majorFaults,
    children: { minor: stat.childrenMinorFaults, major: stat.childrenMajorFaults },
  };
}
