import assert from 'node:assert/strict';
import { constants } from 'node:buffer';
import { closeSync, openSync, readSync, truncateSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { anonymous, map, pageSize } from 'memmap';
import { isEmulated, needs } from '../support/machine.ts';
import { temporaryFile } from '../support/temporary.ts';

const gib = 2 ** 30;
const at = 5 * gib + 3;
const text = Buffer.from('far behind the fourth gigabyte');
const path = temporaryFile('');
truncateSync(path, 6 * gib);
const fd = openSync(path, 'r+');
writeSync(fd, text, 0, text.length, at);
writeSync(fd, Buffer.from('border'), 0, 6, 4 * gib - 3);
closeSync(fd);
const whole = needs(isEmulated && 'the emulator has no room for a mapping of 6 GiB');

test('an offset beyond 4 GiB', () => {
  using mapping = map(path, { offset: at, length: text.length });
  assert.deepEqual(mapping.bytes, text);
  using page = map(path, { offset: 5 * gib, length: pageSize });
  assert.deepEqual(page.window(3, text.length), text);
});

test('a window at 5 GiB, and one across 4 GiB', whole, () => {
  using mapping = map(path);
  assert.equal(mapping.byteLength, 6 * gib);
  assert.deepEqual(mapping.window(at, text.length), text);
  assert.equal(mapping.window(4 * gib - 3, 6).toString(), 'border');
  assert.equal(mapping.view(Uint8Array, at, 3)[0], text[0]);
  assert.equal(mapping.dataView(at, 4).getUint8(1), text[1]);
  const target = Buffer.alloc(text.length);
  assert.equal(mapping.read(target, at), text.length);
  assert.deepEqual(target, text);
});

test('bytes of more than a Buffer can hold is a RangeError', whole, () => {
  using mapping = map(path);
  if (mapping.byteLength <= constants.MAX_LENGTH) {
    assert.equal(mapping.bytes.length, mapping.byteLength);
    return;
  }
  const expected = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE', hint: /use window/ };
  assert.throws(() => mapping.bytes, expected);
  assert.throws(() => mapping.buffer, expected);
  assert.throws(() => mapping.view(Uint8Array), { name: 'RangeError' });
  assert.throws(() => mapping.window(0, 5 * gib), { name: 'RangeError', message: /"byteLength"/ });
  assert.equal(mapping.window(5 * gib, 10).length, 10);
});

test('exactly 4 GiB fits into one buffer', whole, () => {
  using mapping = map(path, { length: Math.min(4 * gib, constants.MAX_LENGTH) });
  assert.equal(mapping.bytes.length, mapping.byteLength);
  assert.equal(mapping.bytes.subarray(4 * gib - 3).toString(), 'bor');
});

test('stores, ranges and resizes beyond 4 GiB', whole, () => {
  using mapping = map(path, { access: 'write' });
  mapping.window(5 * gib + 100, 4).write('here');
  mapping.flushSync({ offset: 5 * gib, length: pageSize });
  mapping.advise('random', { offset: 5 * gib, length: pageSize });
  assert.equal(mapping.residency({ offset: 5 * gib, length: pageSize }).pages, 1);
  mapping.protect('read', { offset: 5 * gib, length: pageSize });
  assert.throws(() => mapping.write(text, 5 * gib), { code: 'ERR_MEMMAP_READ_ONLY' });
  mapping.resize(5 * gib + 104);
  const other = openSync(path, 'r');
  const target = Buffer.alloc(8);
  assert.equal(readSync(other, target, 0, 8, 5 * gib + 100), 4);
  assert.equal(target.toString('latin1', 0, 4), 'here');
  closeSync(other);
});

test('anonymous memory of more than 4 GiB', whole, () => {
  using mapping = anonymous(5 * gib, { noReserve: true });
  mapping.window(5 * gib - 1, 1)[0] = 9;
  assert.equal(mapping.window(5 * gib - 2, 2).readUInt16BE(), 9);
});
