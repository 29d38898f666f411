import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isAligned, nearest, roundDown, roundUp } from '#dist/core/page.js';

const units = fc.nat(40).map((shift) => 2 ** shift);
const values = fc.maxSafeNat();

/** The same in exact numbers. */
const oracle = {
  roundDown: (value: bigint, unit: bigint) => (value / unit) * unit,
  roundUp: (value: bigint, unit: bigint) => ((value + unit - 1n) / unit) * unit,
  nearest(value: bigint, unit: bigint) {
    const below = oracle.roundDown(value, unit);
    return 2n * (value - below) <= unit ? below : below + unit;
  },
};

for (const [name, work] of Object.entries({ roundDown, roundUp, nearest })) {
  test(`${name} is that of exact numbers`, () => {
    fc.assert(
      fc.property(values, units, (value, unit) => {
        const expected = oracle[name as keyof typeof oracle](BigInt(value), BigInt(unit));
        if (expected > BigInt(Number.MAX_SAFE_INTEGER)) return;
        assert.equal(BigInt(work(value, unit)), expected);
      }),
    );
  });
}

test('isAligned is that of exact numbers', () => {
  fc.assert(
    fc.property(values, units, (value, unit) => {
      assert.equal(isAligned(value, unit), BigInt(value) % BigInt(unit) === 0n);
      assert.ok(isAligned(roundDown(value, unit), unit));
    }),
  );
});
