import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  clip,
  parseAddress,
  parseCount,
  parsePercent,
  parseRange,
  parseRate,
  parseSeconds,
  parseSize,
} from '#dist/cli/size.js';

test('sizes are powers of 1024, and of 1000 where a B says so', () => {
  const cases: [string, number][] = [
    ['0', 0],
    ['4096', 4096],
    ['4k', 4096],
    ['4K', 4096],
    ['4KiB', 4096],
    ['4Ki', 4096],
    ['4kB', 4000],
    ['1.5G', 1.5 * 2 ** 30],
    ['.5M', 2 ** 19],
    ['2MiB', 2 ** 21],
    ['0x1000', 4096],
    ['7P', 7 * 2 ** 50],
  ];
  for (const [text, value] of cases) assert.equal(parseSize(text), value, text);
  for (const text of ['', 'k', '-1', '1x', '4iB', '1e3', '8P', '9E', '0x', ' 1', 'NaN', '1.2.3']) {
    assert.throws(() => parseSize(text), /is not/, text);
  }
});

test('a rate is a size, and not 0', () => {
  assert.deepEqual(['1', '200M'].map(parseRate), [1, 200 * 2 ** 20]);
  for (const text of ['0', '0k', '.0001k', 'fast']) assert.throws(() => parseRate(text), /is not/);
});

test('counts are powers of 1000', () => {
  assert.deepEqual(['100', '100k', '1.5M'].map(parseCount), [100, 100_000, 1_500_000]);
  for (const text of ['', '1KiB', 'k', '-1']) assert.throws(() => parseCount(text), /is not/);
});

test('ranges: from A to B, from A so much, from A on', () => {
  assert.deepEqual(parseRange('1M-2M'), { offset: 2 ** 20, length: 2 ** 20 });
  assert.deepEqual(parseRange('1M+64k'), { offset: 2 ** 20, length: 65_536 });
  assert.deepEqual(parseRange('4k-'), { offset: 4096 });
  assert.deepEqual(parseRange('-4k'), { offset: 0, length: 4096 });
  assert.deepEqual(parseRange('0-0'), { offset: 0, length: 0 });
  for (const text of ['', '4k', '2M-1M', '1+', '1-2-3', 'a-b']) {
    assert.throws(() => parseRange(text), /is not/, text);
  }
});

test('a range is cut at the end of the file', () => {
  assert.deepEqual(clip(undefined, 100), { offset: 0, length: 100 });
  assert.deepEqual(clip({ offset: 10 }, 100), { offset: 10, length: 90 });
  assert.deepEqual(clip({ offset: 10, length: 1000 }, 100), { offset: 10, length: 90 });
  assert.deepEqual(clip({ offset: 1000, length: 5 }, 100), { offset: 100, length: 0 });
});

test('seconds, percentages and addresses', () => {
  assert.deepEqual(['.5', '2', '0.25s'].map(parseSeconds), [0.5, 2, 0.25]);
  for (const text of ['0', '-1', 'x', '1e9', '']) assert.throws(() => parseSeconds(text), /is not/);
  assert.deepEqual(['90', '99.5%', '0'].map(parsePercent), [90, 99.5, 0]);
  for (const text of ['101', '-1', '']) assert.throws(() => parsePercent(text), /is not/);
  assert.equal(parseAddress('7fd465600000'), 0x7fd465600000n);
  assert.equal(parseAddress('0xffffffffff600000'), 0xffffffffff600000n);
  assert.deepEqual(['', 'xyz', '0x', '10000000000000000'].map(parseAddress), [
    null,
    null,
    null,
    null,
  ]);
});
