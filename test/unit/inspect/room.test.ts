import assert from 'node:assert/strict';
import { test } from 'node:test';
import { largestHole } from '#dist/inspect/room.js';

const mapping = (start: bigint, end: bigint) => ({ start, end });
const kernel = mapping(0xffffffffff600000n, 0xffffffffff601000n);

test('a hole is between mappings, below the first, or above the last', () => {
  const inOrder = (...found: ReturnType<typeof mapping>[]) =>
    largestHole([...found, kernel], 0x1000n, 0x100000n);
  assert.equal(inOrder(), 0xff000n);
  assert.equal(inOrder(mapping(0x1000n, 0x2000n), mapping(0x90000n, 0x100000n)), 0x8e000n);
  assert.equal(inOrder(mapping(0x90000n, 0x100000n)), 0x8f000n);
  assert.equal(inOrder(mapping(0x1000n, 0x3000n)), 0xfd000n);
  assert.equal(inOrder(mapping(0x1000n, 0x100000n)), 0n);
});

test('what reaches over the ends leaves no hole outside of them', () => {
  assert.equal(largestHole([mapping(0n, 0x2000n)], 0x1000n, 0x3000n), 0x1000n);
  assert.equal(largestHole([mapping(0x2000n, 0x9000n)], 0x1000n, 0x3000n), 0x1000n);
});
