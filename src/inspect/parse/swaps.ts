/**
 * /proc/swaps: where memory is swapped to (mm/swapfile.c, swap_show).
 *
 *   Filename        Type            Size            Used            Priority
 *   /swap\040file   file            1048572         0               -2
 */
import { linesOf, unescapeOctal } from './fields.ts';

/** A place of swap. */
export interface SwapDevice {
  readonly path: string;
  readonly type: string;
  /** Bytes. */
  readonly size: number;
  readonly used: number;
  readonly priority: number;
  /** zram: packed memory. Faults on it are major and touch no disk. */
  readonly isMemory: boolean;
}

/** Reads the table. */
export function parseSwaps(text: string): SwapDevice[] {
  return linesOf(text).flatMap((line) => {
    const match = /^(\S+)\s+(\S+)\s+(\d+)\s+(\d+)\s+(-?\d+)\s*$/.exec(line);
    if (!match) return [];
    const [, path, type, size, used, priority] = match as unknown as string[];
    const name = unescapeOctal(path as string, ' \t\n\\');
    return {
      path: name,
      type: type as string,
      size: Number(size) * 1024,
      used: Number(used) * 1024,
      priority: Number(priority),
      isMemory: /^\/dev\/(block\/)?zram\d+$/.test(name),
    };
  });
}
