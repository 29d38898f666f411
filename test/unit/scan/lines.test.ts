import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { map } from 'memmap';
import { lineCount, lines } from 'memmap/scan';
import { temporaryFile, temporaryPath } from '../../support/temporary.ts';

const read = (text: string, range = {}) => {
  using mapping = map(temporaryFile(text));
  return [...lines(mapping, range)].map(String);
};

test('terminators are \\n and \\r\\n; a final one starts no line', () => {
  assert.deepEqual(read(''), []);
  assert.deepEqual(read('\n'), ['']);
  assert.deepEqual(read('a'), ['a']);
  assert.deepEqual(read('a\n'), ['a']);
  assert.deepEqual(read('a\r\nb\rc\r'), ['a', 'b\rc\r']);
  assert.deepEqual(read('\r\n\n\r\n'), ['', '', '']);
  assert.deepEqual(read('one\ntwo\nthree', { from: 1, to: 8 }), ['ne', 'two']);
});

test('lines are lazy views of the mapping', () => {
  using mapping = map(temporaryFile('first\nsecond\n'), { access: 'copy' });
  const iterator = lines(mapping);
  const { value } = iterator.next();
  assert.equal(String(value), 'first');
  mapping.write(Buffer.from('F'));
  assert.equal(String(value), 'First');
  mapping.close();
  assert.equal(value?.length, 0);
  assert.throws(() => iterator.next(), { code: 'ERR_MEMMAP_CLOSED' });
  assert.throws(() => lines(mapping), { code: 'ERR_MEMMAP_CLOSED' });
  assert.throws(() => lines({} as never), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('a line of gigabytes', async () => {
  const path = temporaryPath('sparse');
  const fd = openSync(path, 'w');
  const size = 3 * 2 ** 30;
  ftruncateSync(fd, size);
  writeSync(fd, 'first\n');
  writeSync(fd, Buffer.from('\r\nlast'), 0, 6, size - 6);
  closeSync(fd);
  using mapping = map(path);
  assert.equal(await lineCount(mapping, { threads: 2 }), 3);
  const [first, middle, last] = [...lines(mapping)];
  assert.equal(String(first), 'first');
  assert.equal(middle?.length, size - 6 - 6);
  assert.equal(String(last), 'last');
});
