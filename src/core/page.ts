/**
 * Page arithmetic on numbers up to 2^53 - 1. Bit operators would cut them to 32 bits.
 */

/** The largest multiple of `unit` that is not above `value`. */
export function roundDown(value: number, unit: number): number {
  return value - (value % unit);
}

/** The smallest multiple of `unit` that is not below `value`. */
export function roundUp(value: number, unit: number): number {
  const rest = value % unit;
  return rest === 0 ? value : value + (unit - rest);
}

/** The multiple of `unit` nearest to `value`; of two equally near ones the lower. */
export function nearest(value: number, unit: number): number {
  const below = roundDown(value, unit);
  return value - below <= unit / 2 ? below : below + unit;
}

export function isAligned(value: number, unit: number): boolean {
  return value % unit === 0;
}
