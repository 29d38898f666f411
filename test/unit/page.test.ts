import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { anonymous, pageSize } from 'memmap';
import { isAligned, nearest, roundDown, roundUp } from '#dist/core/page.js';
import { isEmulated, needs } from '../support/machine.ts';

test('rounding to pages, beyond 32 bits as well', () => {
  for (const base of [0, 4096, 2 ** 32, 2 ** 40, Number.MAX_SAFE_INTEGER - 8191]) {
    assert.equal(roundDown(base + 1, 4096), base);
    assert.equal(roundDown(base + 4095, 4096), base);
    assert.equal(roundUp(base, 4096), base);
    assert.equal(roundUp(base + 1, 4096), base + 4096);
    assert.ok(isAligned(base, 4096));
    assert.ok(!isAligned(base + 2048, 4096));
  }
});

test('the nearest multiple; of two equally near ones the lower', () => {
  assert.equal(nearest(0, 8), 0);
  assert.equal(nearest(4, 8), 0);
  assert.equal(nearest(5, 8), 8);
  assert.equal(nearest(12, 8), 8);
  assert.equal(nearest(13, 8), 16);
});

test('pageSize is a power of two and the page of ordinary mappings', () => {
  assert.equal(Math.log2(pageSize) % 1, 0);
  using mapping = anonymous(1);
  assert.equal(mapping.pageSize, pageSize);
  assert.equal(mapping.address % BigInt(pageSize), 0n);
});

const emulated = isEmulated && 'the emulator has other pages than the kernel';
test('pageSize is what the kernel says', needs(emulated), () => {
  const page = /^KernelPageSize:\s+(\d+) kB/m.exec(readFileSync('/proc/self/smaps', 'utf8'))?.[1];
  assert.equal(pageSize, Number(page) * 1024);
});
