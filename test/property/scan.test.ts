/**
 * Each scan against the naive way, over borders that threads and pieces make and patterns that
 * overlap themselves, are longer than a page, or lie across every border there is.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { anonymous, type Mapping, map } from 'memmap';
import {
  count,
  countSync,
  find,
  findAll,
  findAllSync,
  findLast,
  findLastSync,
  findSync,
  LineIndex,
  lineCount,
  lineCountSync,
  lines,
  matches,
} from 'memmap/scan';
import { pattern as bytesOf, temporaryFile } from '../support/temporary.ts';

// -- the naive ways -----------------------------------------------------------------------------

function naiveAll(text: Buffer, pattern: Buffer, overlapping: boolean): number[] {
  const found: number[] = [];
  for (let at = 0; at + pattern.length <= text.length; ) {
    const isHere = pattern.every((byte, i) => text[at + i] === byte);
    if (isHere) found.push(at);
    at += isHere && !overlapping ? pattern.length : 1;
  }
  return found;
}

function naiveLines(text: Buffer): string[] {
  const split = text.toString('latin1').split('\n');
  const last = split.pop();
  const whole = split.map((line) => line.replace(/\r$/, ''));
  return last ? [...whole, last] : whole;
}

function mapped(text: Buffer): Mapping {
  const mapping = anonymous(text.length);
  mapping.write(text);
  return mapping;
}

async function collect<T>(iterable: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of iterable) all.push(each);
  return all;
}

/** Text of few letters, so that patterns are found and overlap; of bytes 0 and with high bits, too. */
const letters = (max: number, min = 0) =>
  fc
    .array(fc.constantFrom(97, 97, 97, 98, 10, 0, 255), { maxLength: max, minLength: min })
    .map((bytes) => Buffer.from(bytes));

const searches = fc.record({
  text: letters(400),
  pattern: letters(8, 1),
  threads: fc.integer({ min: 1, max: 8 }),
  overlapping: fc.boolean(),
  a: fc.nat(400),
  b: fc.nat(400),
});

test('find, findLast, count and findAll agree with the naive search', async () => {
  const property = fc.asyncProperty(searches, async (search) => {
    const { text, pattern, threads, overlapping, a, b } = search;
    const mapping = mapped(text);
    const from = Math.min(a, b, text.length);
    const to = Math.min(Math.max(a, b), text.length);
    const range = { from, to, threads };
    const part = text.subarray(from, to);
    const all = naiveAll(part, pattern, true).map((at) => at + from);
    const wanted = naiveAll(part, pattern, overlapping).map((at) => at + from);
    assert.equal(await find(mapping, pattern, range), all[0] ?? -1);
    assert.equal(findSync(mapping, pattern, range), all[0] ?? -1);
    assert.equal(await findLast(mapping, pattern, range), all.at(-1) ?? -1);
    assert.equal(findLastSync(mapping, pattern, range), all.at(-1) ?? -1);
    assert.equal(await count(mapping, pattern, { ...range, overlapping }), wanted.length);
    assert.equal(countSync(mapping, pattern, { ...range, overlapping }), wanted.length);
    assert.deepEqual(await collect(findAll(mapping, pattern, { ...range, overlapping })), wanted);
    assert.deepEqual([...findAllSync(mapping, pattern, { from, to, overlapping })], wanted);
    mapping.close();
  });
  await fc.assert(property, { numRuns: 1500 });
});

test('long patterns of a text that repeats itself are counted as the naive search counts', async () => {
  const repeated = fc.record({
    period: letters(5, 1),
    times: fc.integer({ min: 1, max: 3000 }),
    length: fc.integer({ min: 1, max: 9000 }),
    noise: fc.array(fc.nat(9000), { maxLength: 3 }),
    threads: fc.integer({ min: 1, max: 8 }),
  });
  const property = fc.asyncProperty(repeated, async (given) => {
    const text = Buffer.concat(Array<Buffer>(given.times).fill(given.period));
    for (const at of given.noise) if (at < text.length) text[at] = 99;
    const start = Math.min(7, text.length - 1);
    const pattern = Buffer.from(text.subarray(start, start + given.length));
    const mapping = mapped(text);
    let wanted = 0;
    for (let at = text.indexOf(pattern); at >= 0; at = text.indexOf(pattern, at + pattern.length)) {
      wanted++;
    }
    assert.equal(await count(mapping, pattern, { threads: given.threads }), wanted);
    mapping.close();
  });
  await fc.assert(property, { numRuns: 150 });
});

test('a pattern is found across every border of pages and pieces', async () => {
  const length = 9 * 4096;
  const text = Buffer.alloc(length, 46);
  const mapping = anonymous(length);
  for (const size of [1, 2, 3, 5, 63, 64, 65, 4095, 4096, 4097, 9000]) {
    const pattern = bytesOf(size, size).map((byte) => byte | 128);
    for (const border of [0, 64, 4096, 8192, Math.floor(length / 3), length - size]) {
      for (const shift of [-size, -size + 1, -1, 0, 1]) {
        const at = border + shift;
        if (at < 0 || at + size > length) continue;
        text.fill(46).set(pattern, at);
        mapping.write(text);
        for (const threads of [1, 3, 8]) {
          assert.equal(await find(mapping, pattern, { threads }), at);
          assert.equal(findLastSync(mapping, pattern, { threads }), at);
          assert.equal(countSync(mapping, pattern, { threads }), 1);
          assert.equal(findSync(mapping, pattern, { from: at + 1, threads }), -1);
          assert.equal(findSync(mapping, pattern, { to: at + size - 1, threads }), -1);
        }
      }
    }
  }
});

const texts = fc
  .array(fc.constantFrom('\n', '\r\n', '\r', 'a', 'bc', '', 'x'.repeat(70_000)), { maxLength: 60 })
  .map((parts) => Buffer.from(parts.join('')));

test('lines, lineCount and LineIndex agree with the naive split', async () => {
  const property = fc.asyncProperty(
    texts,
    fc.integer({ min: 1, max: 8 }),
    async (text, threads) => {
      const wanted = naiveLines(text);
      const mapping = map(temporaryFile(text));
      const index = await LineIndex.build(mapping, { threads });
      assert.equal(await lineCount(mapping, { threads }), wanted.length);
      assert.equal(lineCountSync(mapping, { threads }), wanted.length);
      assert.equal(index.lineCount, wanted.length);
      let n = 0;
      for (const line of lines(mapping)) {
        assert.equal(line.toString('latin1'), wanted[n]);
        assert.equal(index.line(n).toString('latin1'), wanted[n]);
        assert.equal(index.lineAt(index.offset(n)), n);
        n++;
      }
      assert.equal(n, wanted.length);
      mapping.close();
    },
  );
  await fc.assert(property, { numRuns: 150 });
});

test('matches within lines agree with the regular expression on each line', () => {
  const text = fc
    .array(fc.constantFrom('\n', 'ab', 'a', '€', '😀', 'b1', ' '), { maxLength: 200 })
    .map((parts) => parts.join(''));
  const expressions = fc.constantFrom(/a+b/, /^a/, /b$/, /[€😀]/u, /x*/u, /\d/, /(?<=a)b/);
  const property = fc.property(
    text,
    expressions,
    fc.integer({ min: 1, max: 50 }),
    (whole, expression, windowLength) => {
      const mapping = mapped(Buffer.from(whole));
      const wanted: [number, string][] = [];
      let at = 0;
      const rows = whole.split('\n');
      if (rows.at(-1) === '') rows.pop();
      for (const row of rows) {
        for (const found of row.matchAll(new RegExp(expression, `${expression.flags}g`))) {
          wanted.push([at + Buffer.byteLength(row.slice(0, found.index)), found[0]]);
        }
        at += Buffer.byteLength(row) + 1;
      }
      const found = [...matches(mapping, expression, { windowLength })];
      assert.deepEqual(
        found.map(({ offset, match }) => [offset, match[0]]),
        wanted,
      );
      for (const { offset, byteLength, match } of found) {
        assert.equal(mapping.window(offset, byteLength).toString(), match[0]);
      }
      mapping.close();
    },
  );
  fc.assert(property, { numRuns: 500 });
});
