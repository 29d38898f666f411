import assert from 'node:assert/strict';
import { constants } from 'node:buffer';
import { readFileSync, truncateSync } from 'node:fs';
import { test } from 'node:test';
import { anonymous, map, pageSize } from 'memmap';
import { pattern, temporaryFile } from '../support/temporary.ts';

const length = 2 * pageSize;
const shared = { shared: true } as const;

test('buffer is a SharedArrayBuffer over the file', () => {
  const path = temporaryFile(length);
  using mapping = map(path, { ...shared, access: 'write' });
  assert.ok(mapping.shared);
  assert.ok(mapping.buffer instanceof SharedArrayBuffer);
  assert.equal(mapping.buffer.byteLength, length);
  assert.equal(mapping.buffer, mapping.buffer);
  assert.ok(mapping.bytes.equals(pattern(length)));
  assert.equal(Atomics.add(mapping.view(Int32Array, 4, 1), 0, 5), pattern(length).readInt32LE(4));
  mapping.bytes[0] = 99;
  assert.equal(readFileSync(path)[0], 99);
  assert.equal(readFileSync(path).readInt32LE(4), pattern(length).readInt32LE(4) + 5);
});

test('views of all kinds are over the one buffer', () => {
  using mapping = map(temporaryFile(length), shared);
  const views = [
    mapping.bytes,
    mapping.window(3, 5),
    mapping.view(Float64Array, 8, 2),
    mapping.dataView(1),
  ];
  for (const view of views) assert.equal(view.buffer, mapping.buffer);
  assert.ok(mapping.window(3, 5).equals(pattern(length).subarray(3, 8)));
  assert.equal(mapping.dataView(1).getUint8(0), pattern(length)[1]);
});

test('an odd length', () => {
  using mapping = map(temporaryFile(pageSize + 5), shared);
  assert.equal(mapping.buffer.byteLength, pageSize + 5);
  assert.ok(mapping.bytes.equals(pattern(pageSize + 5)));
});

test('anonymous: zeros with a descriptor', () => {
  using mapping = anonymous(length, shared);
  assert.ok(mapping.fd >= 0);
  assert.ok(mapping.bytes.every((byte) => byte === 0));
  mapping.bytes.fill(3);
  using second = map(mapping.fd, { access: 'write' });
  assert.equal(second.bytes[length - 1], 3);
  second.bytes[0] = 4;
  assert.equal(mapping.bytes[0], 4);
});

test('it cannot be cut by anybody', () => {
  using mapping = anonymous(length, shared);
  assert.throws(() => truncateSync(`/proc/self/fd/${mapping.fd}`, 0), { code: 'EPERM' });
});

test('a copy may be shared between threads as well', () => {
  const path = temporaryFile(length);
  using mapping = map(path, { ...shared, access: 'copy' });
  mapping.bytes.fill(1);
  assert.ok(readFileSync(path).equals(pattern(length)));
});

test('an empty one', () => {
  using mapping = map(temporaryFile(''), shared);
  assert.ok(mapping.buffer instanceof SharedArrayBuffer);
  assert.equal(mapping.buffer.byteLength, 0);
  assert.equal(mapping.bytes.length, 0);
});

test('the offset has to be that of a page', () => {
  const path = temporaryFile(length);
  for (const [offset, aligned] of [
    [1, 0],
    [pageSize - 1, pageSize],
    [pageSize + 3, pageSize],
  ]) {
    assert.throws(() => map(path, { ...shared, offset }), {
      name: 'RangeError',
      code: 'ERR_OUT_OF_RANGE',
      message: /"options\.offset".*multiple of the page/,
      hint: new RegExp(`offset ${aligned} `),
    });
  }
  using mapping = map(path, { ...shared, offset: pageSize });
  assert.ok(mapping.bytes.equals(pattern(length).subarray(pageSize)));
});

test('more than the runtime can share names the limit', () => {
  const limit = constants.MAX_LENGTH;
  const refused = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE', message: new RegExp(`${limit}`) };
  if (limit > 2 ** 45) return;
  const path = temporaryFile('');
  truncateSync(path, limit + pageSize);
  assert.throws(() => map(path, shared), refused);
  assert.throws(() => map(path, { ...shared, length: limit + 1 }), refused);
  assert.throws(() => anonymous(limit + 1, shared), refused);
  assert.throws(() => anonymous(1, { ...shared, capacity: limit + pageSize }), refused);
});

test('without a capacity it cannot be resized', () => {
  for (const mapping of [
    anonymous(length, shared),
    map(temporaryFile(length), { ...shared, access: 'write' }),
  ]) {
    const refused = { code: 'ERR_MEMMAP_UNSUPPORTED', hint: /capacity/ };
    for (const size of [0, pageSize, 3 * pageSize])
      assert.throws(() => mapping.resize(size), refused);
    assert.equal(mapping.byteLength, length);
    mapping.bytes.fill(1);
    mapping.close();
  }
});

test('with a capacity the buffer spans it, and bytes and views what there is', () => {
  for (const mapping of [
    anonymous(length, { ...shared, capacity: 4 * length }),
    map(temporaryFile(length), { ...shared, access: 'write', capacity: 4 * length }),
  ]) {
    const { buffer, address, bytes } = mapping;
    assert.equal(buffer.byteLength, 4 * length);
    for (const size of [length, 3 * length + 7, 4 * length, 10, pageSize, 2 * length]) {
      mapping.resize(size);
      assert.equal(mapping.buffer, buffer);
      assert.equal(mapping.address, address);
      assert.equal(mapping.byteLength, size);
      assert.equal(mapping.bytes.length, size);
      assert.equal(mapping.view(Uint8Array).length, size);
      mapping.bytes[size - 1] = 5;
      assert.equal(new Uint8Array(buffer, size - 1, 1)[0], 5);
    }
    assert.equal(bytes.length, length);
    mapping.close();
  }
});

test('what was cut off comes back as zeros', () => {
  for (const odd of [0, 5]) {
    using mapping = anonymous(length + odd, { ...shared, capacity: 4 * length });
    for (const size of [100, pageSize + 1, 3 * length, 7, 2 * length + 1]) {
      mapping.bytes.fill(9);
      const before = mapping.byteLength;
      mapping.resize(size);
      mapping.resize(4 * length);
      const kept = Math.min(before, size);
      assert.ok(mapping.window(0, kept).every((byte) => byte === 9));
      assert.ok(
        mapping.window(kept, 4 * length - kept).every((byte) => byte === 0),
        `${size}`,
      );
    }
  }
});

test('close: the mapping is gone, the buffer gives zeros', () => {
  const mapping = map(temporaryFile(length), shared);
  const { buffer } = mapping;
  mapping.close();
  assert.throws(() => mapping.buffer, { code: 'ERR_MEMMAP_CLOSED' });
  assert.equal(buffer.byteLength, length);
  assert.ok(new Uint8Array(buffer).every((byte) => byte === 0));
});
