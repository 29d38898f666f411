import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { map, pageSize } from 'memmap';
import { pattern, temporaryFile } from '../support/temporary.ts';

const content = pattern(4 * pageSize - 250);
const path = temporaryFile(content);
const odd = [...Array(130).keys(), pageSize - 3, pageSize - 1, pageSize, pageSize + 3];
const offsets = [...odd, 2 * pageSize + 3, content.length - 1, content.length];

test('any byte of the file may be the first', () => {
  for (const offset of offsets) {
    using mapping = map(path, { offset });
    assert.ok(mapping.bytes.equals(content.subarray(offset)), `offset ${offset}`);
    assert.equal(mapping.offset, offset);
  }
});

test('and any length up to the end', () => {
  for (const offset of offsets) {
    for (const length of [0, 1, 7, pageSize, content.length - offset]) {
      if (offset + length > content.length) continue;
      using mapping = map(path, { offset, length, access: 'copy' });
      assert.ok(mapping.bytes.equals(content.subarray(offset, offset + length)));
    }
  }
});

test('stores land where they belong', () => {
  const file = temporaryFile(content);
  const expected = Buffer.from(content);
  for (const offset of odd) {
    using mapping = map(file, { offset, length: 3, access: 'write' });
    mapping.bytes.set([1, 2, 3]);
    expected.set([1, 2, 3], offset);
  }
  assert.ok(readFileSync(file).equals(expected));
});

test('an offset behind the end is refused with the size', () => {
  for (const offset of [content.length + 1, 100 * content.length, Number.MAX_SAFE_INTEGER]) {
    for (const access of ['read', 'write', 'copy'] as const) {
      assert.throws(() => map(path, { offset, access }), {
        name: 'RangeError',
        code: 'ERR_OUT_OF_RANGE',
        message: new RegExp(`"options\\.offset".*${content.length}\\. Received ${offset}`),
      });
    }
  }
});

test('a length behind the end is refused, with the cure', () => {
  for (const offset of [0, 1, pageSize, content.length]) {
    const length = content.length - offset + 1;
    assert.throws(() => map(path, { offset, length }), {
      name: 'RangeError',
      code: 'ERR_OUT_OF_RANGE',
      message: new RegExp(`"options\\.length".*${length - 1}.*Received ${length}`),
      hint: /extend: true/,
    });
  }
});
