import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { anonymous, map, pageSize, type ViewConstructor } from 'memmap';
import { pattern, temporaryFile } from '../support/temporary.ts';

const length = 2 * pageSize;
const content = pattern(length);
const path = temporaryFile(content);
const types = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
] as unknown as ViewConstructor<NodeJS.TypedArray>[];

test('bytes and buffer are the same memory each time', () => {
  using mapping = map(path);
  assert.ok(Buffer.isBuffer(mapping.bytes));
  assert.equal(mapping.bytes, mapping.bytes);
  assert.equal(mapping.buffer, mapping.buffer);
  assert.equal(mapping.bytes.buffer, mapping.buffer);
  assert.equal(mapping.bytes.byteOffset, 0);
  assert.equal(mapping.buffer.byteLength, length);
  assert.ok(mapping.buffer instanceof ArrayBuffer);
  assert.ok(mapping.bytes.equals(content));
});

test('a view of every type, over the whole and over parts', () => {
  using mapping = map(path);
  for (const Type of types) {
    const size = Type.BYTES_PER_ELEMENT;
    const whole = mapping.view(Type);
    assert.equal(whole.constructor, Type);
    assert.equal(whole.length, length / size);
    assert.equal(whole.buffer, mapping.buffer);
    const copy = content.buffer.slice(content.byteOffset, content.byteOffset + length);
    assert.deepEqual(whole, new Type(copy, 0, length / size));
    const part = mapping.view(Type, 16, 4);
    assert.deepEqual(part, new Type(copy, 16, 4));
  }
});

test('types of another realm, and types that extend one', () => {
  using mapping = map(path);
  const Foreign = runInNewContext('Float64Array') as ViewConstructor<Float64Array>;
  assert.notEqual(Foreign, Float64Array);
  const foreign = mapping.view(Foreign, 8, 2);
  assert.deepEqual([...foreign], [...mapping.view(Float64Array, 8, 2)]);
  class Doubles extends Float64Array {}
  assert.ok(mapping.view(Doubles as ViewConstructor<Doubles>) instanceof Doubles);
  const sized = (Type: () => unknown) => Object.assign(Type, { BYTES_PER_ELEMENT: 8 });
  const lies = [Buffer, DataView, Object, sized(() => 1), sized(function Fake() {})];
  for (const Type of lies) {
    const refused = { name: 'TypeError' };
    assert.throws(() => mapping.view(Type as unknown as ViewConstructor<unknown>), refused);
  }
});

test('stores through any view are seen by all', () => {
  const file = temporaryFile(content);
  using mapping = map(file, { access: 'write' });
  const window = mapping.window(8, 8);
  mapping.view(Float64Array, 8, 1)[0] = Math.PI;
  assert.equal(mapping.dataView().getFloat64(8, true), Math.PI);
  assert.equal(window.readDoubleLE(0), Math.PI);
  mapping.dataView(8, 8).setUint8(0, 99);
  assert.equal(mapping.bytes[8], 99);
  assert.equal(readFileSync(file)[8], 99);
});

test('a view may be at the end, and no byte behind it', () => {
  using mapping = map(path);
  for (const Type of types) {
    const size = Type.BYTES_PER_ELEMENT;
    assert.equal(mapping.view(Type, length - size).length, 1);
    assert.equal(mapping.view(Type, length).length, 0);
    for (const call of [
      () => mapping.view(Type, length - size, 2),
      () => mapping.view(Type, 0, length / size + 1),
      () => mapping.view(Type, length + size),
    ]) {
      assert.throws(call, { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    }
  }
});

test('a misaligned view is refused with the nearest aligned offset', () => {
  using mapping = anonymous(length);
  const nearest = (offset: number, expected: number) =>
    assert.throws(() => mapping.view(Float64Array, offset, 1), {
      name: 'RangeError',
      code: 'ERR_OUT_OF_RANGE',
      message: /"byteOffset".*8 bytes of Float64Array/,
      hint: `the nearest aligned offset is ${expected}`,
    });
  nearest(1, 0);
  nearest(4, 0);
  nearest(5, 8);
  nearest(pageSize - 1, pageSize);
});

test('alignment is that of the memory, not of the mapping', () => {
  using mapping = map(path, { offset: 3 });
  const view = mapping.view(Float64Array, 5, 2);
  assert.equal(view[0], content.readDoubleLE(8));
  assert.throws(() => mapping.view(Float64Array, 0, 1), { hint: /offset is 5$/ });
  assert.throws(() => mapping.view(Float64Array, 4, 1), { hint: /offset is 5$/ });
  assert.throws(() => mapping.view(Uint16Array, 0, 1), { hint: /offset is 1$/ });
});

test('what follows must be whole elements', () => {
  using mapping = map(path, { length: 15 });
  assert.throws(() => mapping.view(Float64Array), {
    code: 'ERR_OUT_OF_RANGE',
    message: /"length"/,
    hint: /pass length 1 /,
  });
  assert.equal(mapping.view(Float64Array, 0, 1).length, 1);
});

test('dataView at any offset', () => {
  using mapping = map(path);
  for (const offset of [0, 1, 3, pageSize - 1, length]) {
    const view = mapping.dataView(offset);
    assert.equal(view.byteLength, length - offset);
    if (offset < length) assert.equal(view.getUint8(0), content[offset]);
  }
  assert.equal(mapping.dataView(1, 4).getUint32(0), content.readUInt32BE(1));
  assert.throws(() => mapping.dataView(1, length), RangeError);
});

test('Node takes the views as its own buffers', async () => {
  using mapping = map(path);
  const { createHash } = await import('node:crypto');
  const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  assert.equal(hash(mapping.bytes), hash(content));
  assert.equal(
    mapping.bytes.indexOf(content.subarray(1000, 1020)),
    content.indexOf(content.subarray(1000, 1020)),
  );
  assert.equal(mapping.bytes.toString('latin1'), content.toString('latin1'));
});
