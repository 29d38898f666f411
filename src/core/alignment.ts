/**
 * What of a mapping lies on whole pages, or on whole elements, and what the user meant instead.
 */
import { outOfRange } from './errors.ts';
import { isAligned, nearest, roundDown, roundUp } from './page.ts';
import type { Span } from './range.ts';

/** A mapping as far as its pages are concerned. */
export interface Paged {
  /** Byte of the first page at which the mapping begins. */
  readonly lead: number;
  readonly length: number;
  readonly page: number;
}

/** The bytes from the first page that a range touches, and how many pages it touches. */
export function pagesAround(span: Span, { lead, page }: Paged): number {
  if (span.length === 0) return 0;
  const first = roundDown(lead + span.offset, page);
  return roundUp(lead + span.offset + span.length - first, page) / page;
}

/** Refuses parts of pages, naming the pages around them; the mapping's end counts as aligned. */
export function checkWholePages({ offset, length }: Span, paged: Paged): void {
  const { lead, page } = paged;
  const end = offset + length;
  const isBorder = (at: number) => at === 0 || at === paged.length || isAligned(lead + at, page);
  if (isBorder(offset) && isBorder(end)) return;
  const first = Math.max(0, roundDown(lead + offset, page) - lead);
  const last = Math.min(paged.length, roundUp(lead + end, page) - lead);
  const hint = `the pages around it are {offset: ${first}, length: ${last - first}}`;
  const expected = `of whole pages of ${page} bytes`;
  throw outOfRange('range', expected, `{offset: ${offset}, length: ${length}}`, hint);
}

/** Refuses an element that would not lie on a multiple of its size in memory. */
export function checkElement(offset: number, base: number, size: number, type: string): void {
  const address = base + offset;
  if (isAligned(address, size)) return;
  let aligned = nearest(address, size) - base;
  if (aligned < 0) aligned += size;
  const hint = `the nearest aligned offset is ${aligned}`;
  throw outOfRange('byteOffset', `aligned to the ${size} bytes of ${type}`, offset, hint);
}
