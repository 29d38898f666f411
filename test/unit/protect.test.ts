import assert from 'node:assert/strict';
import { openSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { anonymous, map, pageSize } from 'memmap';
import { lacksKernel, mappingsOf, needs } from '../support/machine.ts';
import { pattern, temporaryFile } from '../support/temporary.ts';

const length = 4 * pageSize;
const second = { offset: pageSize, length: pageSize };

test('no protection changes a byte', () => {
  using mapping = anonymous(length);
  mapping.bytes.set(pattern(length));
  for (const protection of ['none', 'read', 'write', 'none', 'write'] as const) {
    mapping.protect(protection, second);
    mapping.protect(protection);
  }
  assert.ok(mapping.bytes.equals(pattern(length)));
});

test('what is protected can be stored to again', () => {
  const path = temporaryFile(length);
  using mapping = map(path, { access: 'write' });
  mapping.protect('read');
  assert.throws(() => mapping.write(Buffer.from('x')), { code: 'ERR_MEMMAP_READ_ONLY' });
  mapping.protect('write', { length: pageSize });
  mapping.bytes[5] = 99;
  assert.equal(readFileSync(path)[5], 99);
  assert.throws(() => mapping.write(Buffer.from('x'), pageSize), { code: 'ERR_MEMMAP_READ_ONLY' });
});

test('the kernel knows, page by page', needs(lacksKernel), () => {
  const path = temporaryFile(length);
  using mapping = map(path, { access: 'write' });
  mapping.protect('read', second);
  mapping.protect('none', { offset: 3 * pageSize });
  const rights = mappingsOf(path).map((row) => row.split(' ')[1]);
  assert.deepEqual(rights, ['rw-s', 'r--s', 'rw-s', '---s']);
  mapping.protect('write');
  assert.deepEqual(
    mappingsOf(path).map((row) => row.split(' ')[1]),
    ['rw-s'],
  );
});

test('never more than the access of a file, also when the descriptor could', () => {
  for (const file of [temporaryFile(length), openSync(temporaryFile(length), 'r+')]) {
    using mapping = map(file);
    const refused = { code: 'EACCES', syscall: 'mprotect', hint: /access 'write'/ };
    assert.throws(() => mapping.protect('write'), refused);
    assert.throws(() => mapping.protect('write', second), refused);
    mapping.protect('none', second);
    assert.throws(() => mapping.protect('write', second), refused);
    mapping.protect('read', second);
    assert.ok(mapping.bytes.equals(pattern(length)));
  }
});

test('a copy may be written whatever the file allows', () => {
  using mapping = map(openSync(temporaryFile(length), 'r'), { access: 'copy' });
  mapping.protect('read');
  mapping.protect('write');
  mapping.bytes[0] = 1;
  assert.equal(mapping.bytes[0], 1);
});

test('reserved memory is raised where it is needed', () => {
  using mapping = anonymous(length, { access: 'none' });
  mapping.protect('write', second);
  mapping.bytes[pageSize] = 5;
  mapping.protect('read', second);
  assert.equal(mapping.bytes[pageSize], 5);
});

test('parts of pages are refused with the aligned range', () => {
  using mapping = map(temporaryFile(length), { access: 'write', offset: 10, length: length - 20 });
  const refused = (offset: number, size: number, first: number, whole: number) =>
    assert.throws(() => mapping.protect('read', { offset, length: size }), {
      name: 'RangeError',
      code: 'ERR_OUT_OF_RANGE',
      hint: new RegExp(`\\{offset: ${first}, length: ${whole}\\}`),
    });
  refused(5, pageSize, 0, 2 * pageSize - 10);
  refused(pageSize, pageSize, pageSize - 10, 2 * pageSize);
  refused(3 * pageSize - 10, 1, 3 * pageSize - 10, pageSize - 10);
  mapping.protect('read', { offset: 3 * pageSize - 10 });
  mapping.protect('read', { length: pageSize - 10 });
  mapping.protect('read', { offset: mapping.byteLength });
  mapping.write(Buffer.from('x'), pageSize);
});

test('protection lasts through a resize', () => {
  for (const capacity of [undefined, 2 * length]) {
    using mapping = anonymous(length, { capacity });
    mapping.bytes.fill(1);
    mapping.protect('read', second);
    mapping.resize(2 * length);
    const store = (page: number) => mapping.write(Buffer.from('x'), page * pageSize);
    assert.throws(() => store(1), { code: 'ERR_MEMMAP_READ_ONLY' });
    for (const page of [0, 2, 3, 4, 7]) assert.equal(store(page), 1);
    assert.equal(mapping.bytes[pageSize], 1);
  }
});

test('but not on pages that a resize took away and brought again', () => {
  for (const capacity of [undefined, length]) {
    using mapping = anonymous(length, { capacity });
    mapping.protect('read', second);
    mapping.resize(pageSize);
    mapping.resize(length);
    assert.equal(mapping.write(Buffer.from('x'), pageSize), 1);
  }
});
