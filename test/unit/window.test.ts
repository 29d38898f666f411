import assert from 'node:assert/strict';
import { test } from 'node:test';
import { map, pageSize } from 'memmap';
import { pattern, temporaryFile } from '../support/temporary.ts';

const length = 3 * pageSize;
const content = pattern(length);
const path = temporaryFile(content);

test('any part, at any offset', () => {
  using mapping = map(path);
  for (const offset of [0, 1, pageSize - 1, pageSize, 2 * pageSize + 7, length]) {
    for (const size of [0, 1, 7, pageSize, length - offset]) {
      if (offset + size > length) continue;
      const window = mapping.window(offset, size);
      assert.ok(window.equals(content.subarray(offset, offset + size)));
    }
  }
});

test('its memory is exactly this part', () => {
  using mapping = map(path);
  const window = mapping.window(pageSize + 3, 10);
  assert.ok(Buffer.isBuffer(window));
  assert.equal(window.buffer.byteLength, 10);
  assert.equal(window.byteOffset, 0);
});

test('windows may overlap, and one that is transferred leaves the others', () => {
  using mapping = map(path, { access: 'copy' });
  const first = mapping.window(0, 100);
  const second = mapping.window(50, 100);
  try {
    structuredClone(first.buffer, { transfer: [first.buffer as ArrayBuffer] });
  } catch (error) {
    // Node from 21 on refuses where Node 20 copies: the memory is not its own.
    assert.equal((error as { name?: string }).name, 'DataCloneError');
  }
  second[0] = 77;
  assert.equal(mapping.bytes[50], 77);
});

test('the whole is the buffer of the mapping', () => {
  using mapping = map(path);
  assert.equal(mapping.window(0, length).buffer, mapping.buffer);
});

test('what reaches behind the end is refused by name', () => {
  using mapping = map(path);
  const range = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
  const offset = { ...range, message: /"byteOffset"/ };
  assert.throws(() => mapping.window(length + 1, 0), offset);
  const size = { ...range, message: new RegExp(`"byteLength".*<= ${length - 5}\\.`) };
  assert.throws(() => mapping.window(5, length - 4), size);
  assert.throws(() => mapping.window(5, Number.MAX_SAFE_INTEGER), size);
});

test('many windows', () => {
  using mapping = map(path);
  const windows = Array.from({ length: 20_000 }, (_, i) => mapping.window(i % length, 1));
  assert.ok(windows.every((window, i) => window[0] === content[i % length]));
});
