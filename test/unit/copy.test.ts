import assert from 'node:assert/strict';
import { chmodSync, openSync, readFileSync, renameSync } from 'node:fs';
import { test } from 'node:test';
import { map, pageSize } from 'memmap';
import { pattern, temporaryFile } from '../support/temporary.ts';

const copy = { access: 'copy' } as const;

test('stores stay in this mapping', () => {
  const path = temporaryFile(2 * pageSize);
  using mapping = map(path, copy);
  using second = map(path, copy);
  using reader = map(path);
  mapping.bytes.fill(1);
  assert.ok(mapping.bytes.every((byte) => byte === 1));
  for (const bytes of [second.bytes, reader.bytes, readFileSync(path)]) {
    assert.ok(bytes.equals(pattern(2 * pageSize)));
  }
});

test('a page that was not stored to follows the file', () => {
  const path = temporaryFile(2 * pageSize);
  using mapping = map(path, copy);
  using writer = map(path, { access: 'write' });
  mapping.bytes[0] = 1;
  writer.bytes.fill(9);
  assert.equal(mapping.bytes[0], 1);
  assert.notEqual(mapping.bytes[1], 9);
  assert.equal(mapping.bytes[pageSize], 9);
});

test('a descriptor and a file that may only be read are enough', () => {
  const path = temporaryFile(10);
  chmodSync(path, 0o444);
  for (const file of [path, openSync(path, 'r')]) {
    using mapping = map(file, copy);
    mapping.bytes[0] = 200;
    assert.equal(mapping.bytes[0], 200);
  }
  assert.deepEqual(readFileSync(path), pattern(10));
});

test('write copies into the private pages', () => {
  const path = temporaryFile(10);
  using mapping = map(path, copy);
  assert.equal(mapping.write(Buffer.from('xyz'), 4), 3);
  assert.equal(mapping.bytes.toString('latin1', 4, 7), 'xyz');
  assert.deepEqual(readFileSync(path), pattern(10));
});

test('it has no file to grow, cut or save', async () => {
  const path = temporaryFile(10);
  using mapping = map(path, copy);
  for (const length of [0, 5, 20]) {
    assert.throws(() => mapping.resize(length), { code: 'ERR_MEMMAP_UNSUPPORTED', hint: /map / });
  }
  const refused = { code: 'ERR_MEMMAP_UNSUPPORTED', path, hint: /access 'write' to save/ };
  assert.throws(() => mapping.flushSync(), refused);
  await assert.rejects(mapping.flush(), refused);
  assert.equal(mapping.byteLength, 10);
});

test('with a capacity it cannot be resized either', () => {
  using mapping = map(temporaryFile(10), { ...copy, capacity: pageSize });
  assert.throws(() => mapping.resize(5), { code: 'ERR_MEMMAP_UNSUPPORTED' });
});

test('a copy of a file that is replaced keeps the old one', () => {
  const path = temporaryFile('before');
  using mapping = map(path, copy);
  mapping.bytes[0] = 'B'.charCodeAt(0);
  renameSync(temporaryFile('after!'), path);
  assert.equal(mapping.bytes.toString(), 'Before');
});
