/**
 * /proc/meminfo: the memory of the system (fs/proc/meminfo.c).
 */
import { fieldsOf, quantity } from './fields.ts';

/**
 * The values by the kernel's own names (`'MemTotal'`, `'Active(file)'`), in bytes; those named
 * HugePages_* are counts of huge pages of `Hugepagesize` bytes.
 */
export type MemoryInfo = Readonly<Record<string, number | undefined>>;

/** Reads the text. */
export function parseMeminfo(text: string): MemoryInfo {
  const info: Record<string, number> = {};
  for (const [name, said] of fieldsOf(text)) {
    const value = quantity(said);
    if (value !== undefined) info[name] = value;
  }
  return info;
}
