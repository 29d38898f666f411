/**
 * Which pages of a mapping are in memory.
 */

/** The answer of {@link Mapping.residency}; `null` where the system would not tell the truth. */
export interface Residency {
  /** Bytes of a page. */
  readonly pageSize: number;
  /** Pages that the range touches. */
  readonly pages: number;
  /** Pages of them that are in memory; `null`: unknown. */
  readonly resident: number | null;
  /** A bit for each page, the first in the lowest bit of the first byte; `null`: unknown. */
  readonly bitmap: Uint8Array | null;
}

/** Packs one byte a page (0 or 1) into a {@link Residency}. */
export function packResidency(pageSize: number, flags: Uint8Array): Residency {
  const bitmap = new Uint8Array(Math.ceil(flags.length / 8));
  let resident = 0;
  for (let page = 0; page < flags.length; page++) {
    if (!flags[page]) continue;
    resident++;
    const byte = page >>> 3;
    bitmap[byte] = (bitmap[byte] as number) | (1 << (page & 7));
  }
  return { pageSize, pages: flags.length, resident, bitmap };
}

export function unknownResidency(pageSize: number, pages: number): Residency {
  return { pageSize, pages, resident: null, bitmap: null };
}
