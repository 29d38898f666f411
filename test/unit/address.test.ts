import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anonymous, map, pageSize } from 'memmap';
import { pattern, temporaryFile } from '../support/temporary.ts';

const length = 4 * pageSize;

/** Addresses that were free a moment ago. */
function freeAddress(bytes = length): bigint {
  const mapping = anonymous(bytes);
  const { address } = mapping;
  mapping.close();
  return address;
}

test('exactly there', () => {
  const address = freeAddress();
  using mapping = anonymous(length, { address });
  assert.equal(mapping.address, address);
  mapping.bytes.fill(1);
});

test('a file, its first page there', () => {
  const address = freeAddress();
  using mapping = map(temporaryFile(length), { address, offset: 7 });
  assert.equal(mapping.address, address + 7n);
  assert.ok(mapping.bytes.equals(pattern(length).subarray(7)));
});

test('with a capacity', () => {
  const address = freeAddress(2 * length);
  using mapping = anonymous(length, { address, capacity: 2 * length });
  mapping.resize(2 * length);
  assert.equal(mapping.address, address);
});

test('shared memory there, or refused', () => {
  const address = freeAddress();
  try {
    using mapping = anonymous(length, { address, shared: true });
    assert.equal(mapping.address, address);
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'ERR_MEMMAP_UNSUPPORTED');
  }
});

test('what is there already stays', () => {
  using first = anonymous(length);
  first.bytes.fill(7);
  const taken = { code: 'EEXIST', syscall: 'mmap', hint: /free/ };
  const page = BigInt(pageSize);
  for (const address of [first.address, first.address + page, first.address - page]) {
    assert.throws(() => anonymous(length, { address }), taken);
    const file = temporaryFile(length);
    assert.throws(() => map(file, { address }), taken);
    assert.throws(() => anonymous(pageSize, { address, capacity: length }), taken);
  }
  assert.ok(first.bytes.every((byte) => byte === 7));
});

test('no address of the process', () => {
  assert.throws(() => anonymous(length, { address: 1n << 63n }), {
    name: /MemmapError|RangeError/,
  });
});
