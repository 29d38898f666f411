import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import {
  bar,
  formatBytes,
  formatCount,
  formatDuration,
  formatPercent,
  formatRatio,
  formatSize,
  paintFor,
  printable,
  shellWord,
  shortenMiddle,
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

test('colours by command line count more than the environment', () => {
  assert.equal(paintFor({}, { NO_COLOR: '1' }, 'always')('red', 'x'), '\u001b[31mx\u001b[39m');
  assert.equal(paintFor({ isTTY: true }, {}, 'never')('red', 'x'), 'x');
});

test('sizes in tables are short', () => {
  const cases: [number, string][] = [
    [0, '0'],
    [512, '512'],
    [1000, '1K'],
    [4096, '4K'],
    [94.3 * 2 ** 20, '94.3M'],
    [999.4 * 2 ** 20, '999M'],
    [1023 * 2 ** 20, '1G'],
    [1.5 * 2 ** 40, '1.5T'],
    [-4096, '-4K'],
  ];
  for (const [value, text] of cases) assert.equal(formatSize(value), text);
});

test('100 % is everything, and 0 % is nothing', () => {
  const cases: [number, number, string][] = [
    [0, 10, '0%'],
    [10, 10, '100%'],
    [9999, 10_000, '99.9%'],
    [1, 10_000, '<0.1%'],
    [1, 3, '33.3%'],
    [0, 0, '-'],
  ];
  for (const [part, whole, text] of cases) assert.equal(formatPercent(part, whole), text);
});

test('names cannot control a terminal or break a line', () => {
  assert.equal(printable('plain ä 日本'), 'plain ä 日本');
  assert.equal(printable('a\nb\tc\u001b[31m\\'), 'a\\nb\\tc\\x1b[31m\\\\');
  assert.equal(printable('\u202ertl'), '\\u202ertl');
});

test('names in a command are words of a shell', () => {
  assert.equal(shellWord('/a/b-c_1.txt'), '/a/b-c_1.txt');
  const names = ['a b', "it's", 'a\nb', 'x; touch pwned #', '$HOME', "tab\t'\\", ''];
  for (const name of names) {
    const { stdout } = spawnSync('bash', ['-c', `printf %s ${shellWord(name)}`]);
    assert.equal(stdout.toString(), name);
  }
});

test('long names keep their end', () => {
  assert.equal(shortenMiddle('short', 10), 'short');
  assert.equal(shortenMiddle('/a/very/long/path/to/file.bin', 16), '/a/ve…o/file.bin');
  assert.equal(shortenMiddle('/a/very/long/path/to/file.bin', 16).length, 16);
});
