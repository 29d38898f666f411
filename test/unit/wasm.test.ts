import assert from 'node:assert/strict';
import { readFileSync, truncateSync } from 'node:fs';
import { test } from 'node:test';
import { mapIntoWasm, pageSize } from 'memmap';
import { pattern, temporaryFile } from '../support/temporary.ts';
import { instantiate, Memory } from '../support/wasm.ts';

const at = 65536;
const length = 200_000;

test('a module sums and searches a file that it never copied', () => {
  const content = pattern(length);
  const memory = new Memory({ initial: 8, maximum: 100 });
  using mapping = mapIntoWasm(memory, temporaryFile(content), { at });
  const { sum, find } = instantiate(memory);
  const expected = content.reduce((total, byte) => (total + byte) | 0, 0);
  assert.equal(sum(at, at + length), expected);
  for (const byte of [content[777] as number, content[length - 1] as number]) {
    assert.equal(find(at, at + length, byte), at + content.indexOf(byte));
  }
  assert.deepEqual(mapping.bytes, content);
  assert.equal(mapping.buffer, memory.buffer);
});

test('stores of a module reach the file', async () => {
  const path = temporaryFile(length);
  const memory = new Memory({ initial: 8 });
  using mapping = mapIntoWasm(memory, path, { at, access: 'write' });
  instantiate(memory).store(at + 1000, 200);
  await mapping.flush();
  assert.equal(readFileSync(path)[1000], 200);
});

test('a shared memory works as well', () => {
  const content = pattern(length);
  const memory = new Memory({ initial: 8, maximum: 100, shared: true });
  using mapping = mapIntoWasm(memory, temporaryFile(content), { at });
  assert.equal(instantiate(memory).find(at, at + length, content[0] as number), at);
  assert.deepEqual(Buffer.from(mapping.bytes), content);
});

test('a store to a read-only file is a fault, and is thrown away', () => {
  const path = temporaryFile(length);
  const memory = new Memory({ initial: 8 });
  using mapping = mapIntoWasm(memory, path, { at });
  const before = mapping.bytes[5];
  instantiate(memory).store(at + 5, 123);
  assert.throws(() => mapping.check(), { code: 'ERR_MEMMAP_READ_ONLY', offset: 5 });
  assert.equal(mapping.bytes[5], before);
  truncateSync(path, 0);
  assert.equal(instantiate(memory).sum(at + pageSize, at + 2 * pageSize), 0);
  assert.throws(() => mapping.check(), { code: 'ERR_MEMMAP_TRUNCATED' });
});

test('growing the memory leaves the file where it is', () => {
  const content = pattern(length);
  const memory = new Memory({ initial: 8, maximum: 1000 });
  using mapping = mapIntoWasm(memory, temporaryFile(content), { at });
  memory.grow(500);
  assert.deepEqual(mapping.bytes, content);
  assert.equal(instantiate(memory).find(at, at + length, content[0] as number), at);
});

test('closing leaves ordinary memory, and the file alone', () => {
  const path = temporaryFile(length);
  const memory = new Memory({ initial: 8 });
  mapIntoWasm(memory, path, { at, access: 'write' }).close();
  const bytes = new Uint8Array(memory.buffer, at, length);
  assert.ok(bytes.every((byte) => byte === 0));
  bytes.fill(255);
  assert.deepEqual(readFileSync(path), pattern(length));
});

test('an odd offset needs the same odd place', () => {
  const content = pattern(length);
  const path = temporaryFile(content);
  const memory = new Memory({ initial: 8 });
  using mapping = mapIntoWasm(memory, path, { at: at + 100, offset: 100, length: 50 });
  assert.deepEqual(mapping.bytes, content.subarray(100, 150));
  const refused = { code: 'ERR_OUT_OF_RANGE', hint: /use at/ };
  assert.throws(() => mapIntoWasm(memory, path, { at, offset: 100 }), refused);
});

test('arguments are checked before anything happens', () => {
  const path = temporaryFile(length);
  const memory = new Memory({ initial: 8 });
  const type = { code: 'ERR_INVALID_ARG_TYPE' };
  const range = { code: 'ERR_OUT_OF_RANGE' };
  assert.throws(() => mapIntoWasm({ buffer: new ArrayBuffer(1e6) }, path, { at }), type);
  assert.throws(() => mapIntoWasm(memory, path, undefined as never), type);
  assert.throws(() => mapIntoWasm(memory, path, {} as never), type);
  assert.throws(() => mapIntoWasm(memory, path, { at: -1 }), range);
  assert.throws(() => mapIntoWasm(memory, path, { at: 7 * 65536 }), range);
  assert.throws(() => mapIntoWasm(memory, path, { at, length: length + 1 }), range);
  assert.throws(() => mapIntoWasm(memory, '/nonexistent', { at }), { code: 'ENOENT' });
});

test('it cannot be resized', () => {
  const memory = new Memory({ initial: 8 });
  using mapping = mapIntoWasm(memory, temporaryFile(length), { at, access: 'write' });
  assert.throws(() => mapping.resize(2 * length), { code: 'ERR_MEMMAP_UNSUPPORTED' });
});

test('only where no other mapping is, until that is closed', async () => {
  const [first, second] = [temporaryFile(length), temporaryFile(length)];
  const memory = new Memory({ initial: 8 });
  const one = mapIntoWasm(memory, first, { at, access: 'write' });
  for (const place of [at, at + pageSize, at - pageSize]) {
    const overlapping = { at: place, access: 'write' } as const;
    assert.throws(() => mapIntoWasm(memory, second, overlapping), {
      code: 'EEXIST',
      hint: /close/,
    });
  }
  one.bytes[0] = 1;
  one.close();
  using two = mapIntoWasm(memory, second, { at, access: 'write' });
  two.bytes[0] = 2;
  await two.flush();
  assert.deepEqual(
    [first, second].map((path) => readFileSync(path)[0]),
    [1, 2],
  );
});

test('a memory is what the engine says it is', () => {
  const path = temporaryFile(length);
  const buffer = new ArrayBuffer(2 ** 20);
  const fake = Object.create(Memory.prototype, { buffer: { value: buffer } });
  assert.throws(() => mapIntoWasm(fake, path, { at: 0 }), { code: 'ERR_INVALID_ARG_TYPE' });
  const liar = Object.defineProperty(new Memory({ initial: 8 }), 'buffer', { value: buffer });
  using mapping = mapIntoWasm(liar, path, { at });
  assert.notEqual(mapping.buffer, buffer);
  assert.deepEqual(mapping.bytes, pattern(length));
});
