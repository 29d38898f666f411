import assert from 'node:assert/strict';
import { readFileSync, truncateSync } from 'node:fs';
import { test } from 'node:test';
import { anonymous, map, pageSize } from 'memmap';
import { pattern, temporaryFile } from '../support/temporary.ts';

const length = 2 * pageSize + 10;
const content = pattern(length);

test('read copies out, from anywhere', () => {
  using mapping = map(temporaryFile(content), { offset: 3 });
  const target = Buffer.alloc(pageSize);
  for (const position of [0, 1, pageSize - 5, length - 3 - pageSize]) {
    assert.equal(mapping.read(target, position), pageSize);
    assert.ok(target.equals(content.subarray(3 + position, 3 + position + pageSize)));
  }
});

test('write copies in, to anywhere', () => {
  const path = temporaryFile(content);
  const expected = Buffer.from(content);
  using mapping = map(path, { access: 'write', offset: 3 });
  for (const position of [0, 1, pageSize - 5, length - 3 - 20]) {
    assert.equal(mapping.write(pattern(20, position), position), 20);
    expected.set(pattern(20, position), 3 + position);
  }
  assert.ok(readFileSync(path).equals(expected));
});

test('every kind of view is a target and a source', () => {
  using mapping = anonymous(100);
  const { buffer } = new Uint8Array(16).fill(5);
  for (const view of [
    new Uint8Array(buffer),
    new Float64Array(buffer, 8, 1),
    new DataView(buffer, 1, 9),
  ]) {
    assert.equal(mapping.write(view), view.byteLength);
    const target = new Uint8Array(20);
    assert.equal(mapping.read(target), 20);
    assert.ok(mapping.bytes.subarray(0, 20).equals(target));
  }
  const shared = new Uint8Array(new SharedArrayBuffer(8));
  assert.equal(mapping.read(shared), 8);
  assert.deepEqual([...shared], Array(8).fill(5));
});

test('what only looks like a view is refused, and nothing is lost without a word', () => {
  using mapping = anonymous(pageSize);
  const lies = [new Proxy(new Uint8Array(4), {}), Object.create(Uint8Array.prototype)];
  for (const lie of lies) {
    assert.throws(() => mapping.write(lie), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => mapping.read(lie), { code: 'ERR_INVALID_ARG_TYPE' });
  }
});

test('only the part of the view that is one is touched', () => {
  using mapping = map(temporaryFile(content));
  const target = Buffer.alloc(12, 255);
  assert.equal(mapping.read(target.subarray(4, 8), 100), 4);
  assert.deepEqual(
    [...target],
    [...Array(4).fill(255), ...content.subarray(100, 104), ...Array(4).fill(255)],
  );
});

test('short counts at the end, zero behind it', () => {
  const path = temporaryFile(content);
  using mapping = map(path, { access: 'write' });
  for (const copy of [mapping.read, mapping.write]) {
    const bytes = Buffer.alloc(10);
    assert.equal(copy.call(mapping, bytes, length - 10), 10);
    assert.equal(copy.call(mapping, bytes, length - 9), 9);
    assert.equal(copy.call(mapping, bytes, length - 1), 1);
    assert.equal(copy.call(mapping, bytes, length), 0);
    assert.equal(copy.call(mapping, bytes, Number.MAX_SAFE_INTEGER), 0);
    assert.equal(copy.call(mapping, Buffer.alloc(0)), 0);
  }
});

test('exact at the end of a file that was cut, by any byte', () => {
  const path = temporaryFile(content);
  using mapping = map(path, { access: 'write' });
  const ends = [length - 1, 2 * pageSize + 1, 2 * pageSize, pageSize + 100, pageSize, 1, 0];
  for (const end of ends) {
    truncateSync(path, end);
    const target = Buffer.alloc(length, 255);
    assert.equal(mapping.read(target), end);
    assert.ok(target.subarray(0, end).equals(content.subarray(0, end)));
    assert.ok(target.subarray(end).every((byte) => byte === 255));
    assert.equal(mapping.read(target, end), 0);
    assert.equal(mapping.write(content), end);
    assert.equal(mapping.write(content, end), 0);
  }
  mapping.check();
});

test('and whole again when the file has grown', () => {
  const path = temporaryFile(content);
  using mapping = map(path);
  truncateSync(path, 5);
  const target = Buffer.alloc(length);
  assert.equal(mapping.read(target), 5);
  truncateSync(path, length);
  assert.equal(mapping.read(target), length);
  assert.ok(target.subarray(5).every((byte) => byte === 0));
});

test('a mapping that was made for reading is not written', () => {
  const path = temporaryFile(content);
  using mapping = map(path);
  const refused = { name: 'MemmapError', code: 'ERR_MEMMAP_READ_ONLY', path, hint: /'write'/ };
  assert.throws(() => mapping.write(Buffer.from('x')), refused);
  assert.ok(readFileSync(path).equals(content));
});

test('a range that is protected is not written, up to it all is', () => {
  using mapping = anonymous(2 * pageSize);
  mapping.protect('read', { offset: pageSize });
  assert.equal(mapping.write(Buffer.alloc(pageSize, 1), pageSize - 10), 10);
  assert.throws(() => mapping.write(Buffer.from('x'), pageSize), { code: 'ERR_MEMMAP_READ_ONLY' });
  mapping.protect('none', { offset: pageSize });
  const target = Buffer.alloc(100);
  assert.equal(mapping.read(target, pageSize - 10), 10);
  const refused = { code: 'ERR_MEMMAP_NO_ACCESS', hint: /protect\('read'/ };
  assert.throws(() => mapping.read(target, pageSize), refused);
  mapping.check();
});

test('memory that was only reserved can be written once it is raised', () => {
  for (const access of ['none', 'read'] as const) {
    using mapping = anonymous(2 * pageSize, { access });
    assert.throws(() => mapping.write(Buffer.from('x')));
    mapping.protect('write', { length: pageSize });
    assert.equal(mapping.write(Buffer.from('x')), 1);
    assert.equal(mapping.bytes[0], 'x'.charCodeAt(0));
  }
});

test('within one mapping, overlapping, as memmove', () => {
  for (const [from, to] of [
    [0, 3],
    [3, 0],
    [pageSize - 2, pageSize + 1],
    [5, 5],
  ] as const) {
    using mapping = anonymous(2 * pageSize);
    mapping.bytes.set(content.subarray(0, 2 * pageSize));
    const expected = Buffer.from(content.subarray(0, 2 * pageSize));
    expected.copyWithin(to, from, from + 1000);
    assert.equal(mapping.write(mapping.window(from, 1000), to), 1000);
    assert.ok(mapping.bytes.equals(expected), `from ${from} to ${to}`);
  }
});
