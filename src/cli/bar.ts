/**
 * Bars of nine levels: how much of each part of something is there.
 */

/** From nothing to everything; a part that is not empty or not full never looks so. */
const blocks = ['·', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;
const digits = ['.', '1', '2', '3', '4', '5', '6', '7', '#'] as const;

/** `null`: unknown. */
export type Level = number | null;

/** The level, 0 to 8, of a part of a whole. */
export function levelOf(part: number | null, whole: number): Level {
  if (part === null) return null;
  if (part <= 0 || whole <= 0) return 0;
  if (part >= whole) return 8;
  return Math.min(7, Math.max(1, Math.round((part / whole) * 8)));
}

/** A character a level; unknown is `?`. */
export function levels(values: readonly Level[], ascii: boolean): string {
  const characters = ascii ? digits : blocks;
  return values.map((value) => (value === null ? '?' : characters[value])).join('');
}

/** What the characters mean, for a line under a map. */
export function legend(ascii: boolean): string {
  return ascii
    ? '. nothing, 1-7 eighths, # all, ? unknown'
    : '· nothing, ▁▂▃▄▅▆▇ eighths, █ all, ? unknown';
}
