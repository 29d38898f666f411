/**
 * /proc/PID/statm: the memory of a process in pages (fs/proc/array.c, proc_pid_statm).
 */

/** All in pages of the system. */
export interface ProcessStatm {
  readonly virtual: number;
  readonly resident: number;
  /** Resident pages of files and shared memory. */
  readonly shared: number;
  readonly code: number;
  /** Data and stack. */
  readonly data: number;
}

/** Reads the line; `null` where it is none. */
export function parseStatm(text: string): ProcessStatm | null {
  const [virtual, resident, shared, code, , data] = text.trim().split(/\s+/).map(Number);
  if (data === undefined || Number.isNaN(data)) return null;
  return {
    virtual: virtual as number,
    resident: resident as number,
    shared: shared as number,
    code: code as number,
    data,
  };
}
