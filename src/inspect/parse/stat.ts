/**
 * /proc/PID/stat: a process in numbers (fs/proc/array.c, do_task_stat; proc_pid_stat(5)).
 */

/** What of it is about memory and identity. */
export interface ProcessStat {
  readonly pid: number;
  /** The command's name: anything, also spaces and parentheses. */
  readonly name: string;
  readonly state: string;
  readonly parent: number;
  /** Faults that were served without waiting for the disk. */
  readonly minorFaults: number;
  /** The same of the children that were waited for. */
  readonly childrenMinorFaults: number;
  /** Faults that had to wait for a page to be read (zram counts, page cache of swap does not). */
  readonly majorFaults: number;
  readonly childrenMajorFaults: number;
  readonly threads: number;
  /** When it was started, in clock ticks since boot: with the pid it names a process for good. */
  readonly startTicks: bigint;
  /** Bytes of address space. */
  readonly virtual: number;
  /** Pages in memory; roughly, the kernel counts them per thread. */
  readonly residentPages: number;
}

/** Reads the line; `null` where it is none. The name ends at the last parenthesis of the line. */
export function parseStat(text: string): ProcessStat | null {
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  if (open < 0 || close < open) return null;
  const rest = text
    .slice(close + 1)
    .trim()
    .split(/\s+/);
  // The numbers of proc_pid_stat(5), where the state is the third.
  const field = (number: number) => rest[number - 3] ?? '0';
  if (rest.length < 22) return null;
  return {
    pid: Number(text.slice(0, open)),
    name: text.slice(open + 1, close),
    state: field(3),
    parent: Number(field(4)),
    minorFaults: Number(field(10)),
    childrenMinorFaults: Number(field(11)),
    majorFaults: Number(field(12)),
    childrenMajorFaults: Number(field(13)),
    threads: Number(field(20)),
    startTicks: BigInt(field(22)),
    virtual: Number(field(23)),
    residentPages: Number(field(24)),
  };
}
