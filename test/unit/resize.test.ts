import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { anonymous, map, pageSize } from 'memmap';
import { lacksKernel, mappingsOf, needs } from '../support/machine.ts';
import { pattern, temporaryFile } from '../support/temporary.ts';

const length = 2 * pageSize;
const write = { access: 'write' } as const;
const sizes = [512, 1, length, 0, 77, 3 * pageSize + 5, pageSize, 10 * pageSize, 3];

test('mapping and file have the same size, and keep what both had', () => {
  for (const capacity of [undefined, 10 * pageSize]) {
    const path = temporaryFile(length);
    using mapping = map(path, { ...write, capacity });
    let expected = pattern(length);
    for (const size of sizes) {
      mapping.resize(size);
      expected = Buffer.concat([expected, Buffer.alloc(10 * pageSize)]).subarray(0, size);
      assert.equal(mapping.byteLength, size);
      assert.ok(mapping.bytes.equals(expected), `${size}`);
      assert.ok(readFileSync(path).equals(expected), `${size}`);
    }
  }
});

test('from an odd offset on', () => {
  for (const capacity of [undefined, 10 * pageSize]) {
    const path = temporaryFile(length);
    using mapping = map(path, { ...write, offset: 77, capacity });
    for (const size of sizes) {
      mapping.resize(size);
      assert.equal(statSync(path).size, 77 + size);
      if (size > 0) mapping.bytes[size - 1] = 200;
      if (size > 0) assert.equal(readFileSync(path)[77 + size - 1], 200);
      assert.ok(readFileSync(path).subarray(0, 77).equals(pattern(77)));
    }
  }
});

test('what was grown has its blocks', () => {
  const path = temporaryFile(1);
  using mapping = map(path, write);
  mapping.resize(20 * pageSize);
  assert.ok(statSync(path).blocks * 512 >= 20 * pageSize);
});

test('a mapping that ends before its file never cuts it', () => {
  for (const capacity of [undefined, length]) {
    const path = temporaryFile(length);
    using mapping = map(path, { ...write, length: 100, capacity });
    mapping.resize(10);
    assert.equal(statSync(path).size, length);
    mapping.resize(length - 1);
    assert.ok(mapping.bytes.equals(pattern(length).subarray(0, length - 1)));
    mapping.resize(5);
    assert.ok(readFileSync(path).equals(pattern(length)));
  }
});

test('anonymous memory keeps its content; what comes is zeros', () => {
  for (const capacity of [undefined, 10 * pageSize]) {
    using mapping = anonymous(length, { capacity });
    mapping.bytes.set(pattern(length));
    let expected = pattern(length);
    for (const size of sizes) {
      mapping.resize(size);
      expected = Buffer.concat([expected, Buffer.alloc(10 * pageSize)]).subarray(0, size);
      assert.ok(mapping.bytes.equals(expected), `${size} bytes, capacity ${capacity}`);
    }
  }
});

test('without a capacity earlier views are detached, always', () => {
  for (const mapping of [anonymous(length), map(temporaryFile(length), write)]) {
    for (const size of [length + 1, length, length, 5]) {
      const views = [mapping.bytes, mapping.window(1, 2), mapping.view(Uint8Array)];
      const data = mapping.dataView();
      mapping.resize(size);
      for (const view of views) assert.equal(view.length, 0);
      assert.throws(() => data.byteLength, TypeError);
      assert.equal(mapping.bytes.length, size);
    }
    mapping.close();
  }
});

test('a capacity grows under the views', () => {
  for (const make of [
    () => anonymous(length, { capacity: 10 * pageSize }),
    () => map(temporaryFile(length), { ...write, capacity: 10 * pageSize }),
  ]) {
    using mapping = make();
    const { bytes, address } = mapping;
    const window = mapping.window(1, 10);
    mapping.resize(10 * pageSize);
    assert.equal(mapping.address, address);
    assert.equal(bytes.length, length);
    mapping.bytes[2] = 123;
    assert.equal(bytes[2], 123);
    assert.equal(window[1], 123);
    assert.notEqual(mapping.bytes, bytes);
    assert.equal(mapping.bytes.length, 10 * pageSize);
  }
});

test('shrinking detaches the views that reach behind the new end', () => {
  using mapping = anonymous(length, { capacity: length });
  const { bytes } = mapping;
  const inside = mapping.window(0, 100);
  const across = mapping.window(50, 51);
  const behind = mapping.window(pageSize, 1);
  mapping.resize(100);
  assert.deepEqual(
    [bytes, inside, across, behind].map((view) => view.length),
    [0, 100, 0, 0],
  );
});

test('the capacity is a limit', () => {
  using mapping = anonymous(10, { capacity: length });
  assert.ok(mapping.capacity >= length);
  const refused = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE', message: /the capacity/ };
  assert.throws(() => mapping.resize(mapping.capacity + 1), refused);
  mapping.resize(mapping.capacity);
  assert.equal(mapping.byteLength, mapping.capacity);
});

test('a capacity is addresses, not memory', needs(lacksKernel), () => {
  using mapping = anonymous(pageSize, { capacity: 2 ** 30 });
  mapping.bytes.fill(1);
  assert.equal(mapping.residency().pages, 1);
  assert.ok(mappingsOf().some((row) => row.includes(' ---p ')));
});

test('what is refused changes nothing', () => {
  const path = temporaryFile(length);
  for (const capacity of [undefined, 3 * pageSize]) {
    using mapping = map(path, { ...write, capacity });
    const { bytes } = mapping;
    for (const size of [2 ** 52, Number.MAX_SAFE_INTEGER])
      assert.throws(() => mapping.resize(size));
    assert.equal(mapping.byteLength, length);
    assert.equal(mapping.bytes, bytes);
    assert.ok(bytes.equals(pattern(length)));
    assert.equal(statSync(path).size, length);
  }
});

test('a device is not resized', () => {
  using mapping = map('/dev/zero', { ...write, length });
  assert.throws(() => mapping.resize(pageSize), {
    code: 'ERR_MEMMAP_UNSUPPORTED',
    path: '/dev/zero',
  });
});

test('resizing leaves nothing behind', needs(lacksKernel), () => {
  const path = temporaryFile(length);
  const mapping = map(path, write);
  const before = mappingsOf().length;
  for (let i = 0; i < 500; i++) mapping.resize(pageSize * (1 + (i % 7)));
  assert.ok(mappingsOf().length - before < 10);
  assert.equal(mappingsOf(path).length, 1);
  mapping.close();
});
