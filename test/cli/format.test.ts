import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bar,
  formatBytes,
  formatCount,
  formatDuration,
  formatRatio,
  paintFor,
  wrap,
} from '#dist/cli/format.js';

test('bytes have binary units', () => {
  const cases: [number, string][] = [
    [0, '0 B'],
    [1, '1 B'],
    [1023, '1023 B'],
    [4096, '4 KiB'],
    [1.5 * 2 ** 30, '1.5 GiB'],
    [100 * 2 ** 20, '100 MiB'],
    [-4096, '-4 KiB'],
    [Number.MAX_SAFE_INTEGER, '8 PiB'],
  ];
  for (const [value, text] of cases) assert.equal(formatBytes(value), text);
});

test('counts, durations and ratios are short', () => {
  assert.equal(formatCount(25_600), '25,600');
  assert.deepEqual([87e-6, 1.94e-3, 23.4, 4210].map(formatDuration), [
    '87 ns',
    '1.9 us',
    '23 ms',
    '4.2 s',
  ]);
  assert.deepEqual([0.843, 4.23, 1070.4].map(formatRatio), ['0.84x', '4.2x', '1,070x']);
  assert.equal(formatRatio(1 / 0), '');
});

test('a bar is as long as its share, and what is not nothing is seen', () => {
  assert.equal(bar(10, 10, 4), '████');
  assert.equal(bar(5, 10, 4), '██');
  assert.equal(bar(1, 1e9, 4), '▏');
  assert.equal(bar(0, 10, 4), '');
  assert.equal(bar(20, 10, 4), '████');
  assert.equal(bar(1, 0, 4), '');
});

test('text is broken between words only', () => {
  assert.deepEqual(wrap('one two three', 7), ['one two', 'three']);
  assert.deepEqual(wrap('/a/path/longer/than/that x', 7), ['/a/path/longer/than/that', 'x']);
  assert.deepEqual(wrap('', 7), ['']);
});

test('colours are for terminals that want them', () => {
  assert.equal(paintFor({ isTTY: true }, {})('bold', 'x'), '\u001b[1mx\u001b[22m');
  assert.equal(paintFor({ isTTY: true }, { NO_COLOR: '1' })('bold', 'x'), 'x');
  assert.equal(paintFor({ isTTY: true }, { TERM: 'dumb' })('bold', 'x'), 'x');
  assert.equal(paintFor({}, {})('bold', 'x'), 'x');
});
