import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkWholePages, pagesAround } from '#dist/core/alignment.js';
import { readRange, within } from '#dist/core/range.js';

const small = fc.nat(100);
const any = fc.oneof(small, fc.maxSafeNat(), fc.constant(Number.MAX_SAFE_INTEGER));
const ranges = fc.record({ offset: any, length: any }, { requiredKeys: [] });

test('within takes exactly what lies inside', () => {
  fc.assert(
    fc.property(ranges, any, (range, byteLength) => {
      const size = BigInt(byteLength);
      const offset = BigInt(range.offset ?? 0);
      const length = range.length === undefined ? size - offset : BigInt(range.length);
      const isInside = offset <= size && offset + length <= size;
      if (!isInside) {
        assert.throws(() => within(readRange(range), byteLength), { code: 'ERR_OUT_OF_RANGE' });
        return;
      }
      const expected = { offset: Number(offset), length: Number(length) };
      assert.deepEqual(within(readRange(range), byteLength), expected);
    }),
  );
});

/** A mapping that begins `lead` bytes into a page, and a span of it. */
const placed = fc
  .tuple(fc.integer({ min: 1, max: 16 }), fc.nat(), fc.nat(200), fc.nat(), fc.nat())
  .map(([page, lead, length, first, second]) => {
    const [start, end] = [first % (length + 1), second % (length + 1)].sort((a, b) => a - b);
    const span = { offset: start as number, length: (end as number) - (start as number) };
    return { span, paged: { lead: lead % page, length, page } };
  });

test('the pages around a span are those of its bytes', () => {
  fc.assert(
    fc.property(placed, ({ span, paged }) => {
      const pages = new Set<number>();
      for (let at = span.offset; at < span.offset + span.length; at++) {
        pages.add(Math.floor((paged.lead + at) / paged.page));
      }
      assert.equal(pagesAround(span, paged), pages.size);
    }),
  );
});

test('whole pages are those that no byte outside shares', () => {
  fc.assert(
    fc.property(placed, ({ span, paged }) => {
      const pageOf = (at: number) => Math.floor((paged.lead + at) / paged.page);
      const { offset, length } = span;
      const end = offset + length;
      const isCut = (at: number) => at > 0 && at < paged.length && pageOf(at - 1) === pageOf(at);
      if (!isCut(offset) && !isCut(end)) {
        checkWholePages(span, paged);
        return;
      }
      const thrown = { code: 'ERR_OUT_OF_RANGE', hint: /\{offset: \d+, length: \d+\}/ };
      assert.throws(() => checkWholePages(span, paged), thrown);
    }),
  );
});

test('the range that is proposed instead is one, and holds the other', () => {
  fc.assert(
    fc.property(placed, ({ span, paged }) => {
      try {
        checkWholePages(span, paged);
      } catch (error) {
        const { hint } = error as { hint: string };
        const [offset, length] = (hint.match(/\d+/g) as string[]).map(Number) as [number, number];
        assert.ok(offset <= span.offset && offset + length >= span.offset + span.length);
        assert.ok(offset + length <= paged.length);
        checkWholePages({ offset, length }, paged);
      }
    }),
  );
});
