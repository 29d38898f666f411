import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { test } from 'node:test';
import { anonymous, type Mapping, map } from 'memmap';
import { temporaryFile } from '../support/temporary.ts';

const empties: Record<string, () => Mapping> = {
  'an empty file, read': () => map(temporaryFile('')),
  'an empty file, written': () => map(temporaryFile(''), { access: 'write' }),
  'no byte of a file': () => map(temporaryFile(10), { length: 0, access: 'write' }),
  'the end of a file': () => map(temporaryFile(10), { offset: 10 }),
  'no anonymous memory': () => anonymous(0),
  'an empty file with capacity': () => map(temporaryFile(''), { capacity: 10, access: 'write' }),
};

for (const [name, make] of Object.entries(empties)) {
  test(`${name}: every method works`, async () => {
    using mapping = make();
    assert.equal(mapping.byteLength, 0);
    assert.equal(mapping.bytes.length, 0);
    assert.equal(mapping.buffer.byteLength, 0);
    assert.equal(mapping.window(0, 0).length, 0);
    assert.equal(mapping.view(Float64Array).length, 0);
    assert.equal(mapping.dataView().byteLength, 0);
    assert.equal(mapping.read(Buffer.alloc(5)), 0);
    if (mapping.access === 'write') assert.equal(mapping.write(Buffer.alloc(5)), 0);
    mapping.flushSync();
    await mapping.flush();
    mapping.advise('random');
    mapping.discard('dontneed');
    const nothing = { pageSize: mapping.pageSize, pages: 0, resident: 0, bitmap: new Uint8Array() };
    assert.deepEqual(mapping.residency(), nothing);
    assert.deepEqual(await mapping.prefetch(), nothing);
    assert.deepEqual(await mapping.evict(), nothing);
    assert.deepEqual(mapping.writtenPages(), []);
    mapping.lock();
    mapping.unlock();
    mapping.protect('read');
    assert.equal(
      mapping.withAccess('read', () => 5),
      5,
    );
    mapping.check();
    assert.equal(
      mapping.guard(() => 6),
      6,
    );
    mapping.resize(0);
    mapping.close();
    assert.ok(mapping.closed);
  });
}

test('an empty copy has nothing that a flush would not save', async () => {
  using mapping = map(temporaryFile(''), { access: 'copy' });
  mapping.flushSync();
  await mapping.flush();
});

test('an empty mapping has no address, and grows', () => {
  using mapping = map(temporaryFile(''), { access: 'write' });
  assert.equal(mapping.address, 0n);
  mapping.resize(5);
  mapping.bytes.write('hello');
  assert.notEqual(mapping.address, 0n);
  assert.equal(statSync(mapping.path as string).size, 5);
  assert.equal(map(mapping.path as string).bytes.toString(), 'hello');
});
