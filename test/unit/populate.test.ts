import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anonymous, map, pageSize } from 'memmap';
import { lacksKernel, needs, statusBytes } from '../support/machine.ts';
import { temporaryFile, temporaryPath } from '../support/temporary.ts';

const kernel = needs(lacksKernel);
const length = 8 * pageSize;

test('populate brings all pages in', kernel, () => {
  using memory = anonymous(length, { populate: true });
  assert.equal(memory.residency().resident, 8);
  using bare = anonymous(length);
  assert.equal(bare.residency().resident, 0);
  for (const access of ['read', 'write', 'copy'] as const) {
    using mapping = map(temporaryFile(length), { access, populate: true });
    assert.equal(mapping.residency().resident, 8);
  }
});

test('populate stores nothing', kernel, () => {
  using mapping = map(temporaryFile(length), { access: 'copy', populate: true });
  using whole = map(mapping.path as string);
  assert.ok(mapping.bytes.equals(whole.bytes));
});

test('locked locks all pages, also those that resize adds', kernel, () => {
  const before = statusBytes('VmLck');
  const mapping = anonymous(length, { locked: true, capacity: 2 * length });
  assert.equal(statusBytes('VmLck') - before, length);
  assert.equal(mapping.residency().resident, 8);
  mapping.resize(2 * length);
  assert.equal(statusBytes('VmLck') - before, 2 * length);
  mapping.resize(pageSize);
  assert.equal(statusBytes('VmLck') - before, pageSize);
  mapping.close();
  assert.equal(statusBytes('VmLck'), before);
});

test('both with a file that is created and extended', kernel, () => {
  const options = { access: 'write', create: true, extend: true, length } as const;
  for (const more of [
    { populate: true },
    { locked: true },
    { locked: true, capacity: 2 * length },
  ]) {
    using mapping = map(temporaryPath(), { ...options, ...more });
    assert.equal(mapping.residency().resident, 8);
    assert.ok(mapping.bytes.every((byte) => byte === 0));
  }
});

test('noReserve is for what will stay sparse', () => {
  using mapping = anonymous(length, { noReserve: true });
  mapping.bytes[length - 1] = 1;
  assert.equal(mapping.bytes[length - 1], 1);
});
