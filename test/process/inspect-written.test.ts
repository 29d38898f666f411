import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, readSync, truncateSync, writeSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { anonymous, type Mapping, map, pageSize } from 'memmap';
import { native, Written } from '#dist/binding/native.js';
import { decodePageEntry, readPageEntries, scanPages } from '#dist/inspect/index.js';
import { collectWritten, isNotWatched } from '#dist/mapping/written.js';
import { runModule } from '../support/child.js';
import { asNobody, lacksRoot, needs } from '../support/machine.js';
import { temporaryFile } from '../support/temporary.js';

/** The pages that were written, by their number. */
function pagesOf(mapping: Mapping, mode: number): number[] {
  const span = { offset: 0, length: mapping.byteLength };
  return collectWritten(mapping, span, mode).flatMap(({ offset, length }) => {
    assert.equal(offset % pageSize, 0);
    return Array.from({ length: Math.ceil(length / pageSize) }, (_, at) => offset / pageSize + at);
  });
}

function store(mapping: Mapping, ...pages: number[]): void {
  for (const page of pages) mapping.write(new Uint8Array([1]), page * pageSize + 5);
}

const canWatch = (() => {
  using probe = anonymous(pageSize);
  try {
    native.watchWrites(probe);
    return true;
  } catch {
    return false;
  }
})();
const lacksWatch = !canWatch && 'the kernel does not watch stores';

describe('private copies', () => {
  test('are the pages that were stored to, and no others', () => {
    using mapping = map(temporaryFile(64 * pageSize), { access: 'copy' });
    mapping.read(Buffer.alloc(64 * pageSize));
    assert.deepEqual(pagesOf(mapping, Written.copies), []);
    store(mapping, 3, 4, 40);
    assert.deepEqual(pagesOf(mapping, Written.copies), [3, 4, 40]);
    mapping.discard('dontneed');
    assert.deepEqual(pagesOf(mapping, Written.copies), []);
  });

  test('of anonymous memory: reads of untouched pages are none', () => {
    using memory = anonymous(16 * pageSize);
    memory.read(Buffer.alloc(16 * pageSize));
    store(memory, 0, 15);
    assert.deepEqual(pagesOf(memory, Written.copies), [0, 15]);
  });

  test('of a part, cut to the mapping, whose first byte is in the middle of a page', () => {
    const path = temporaryFile(8 * pageSize);
    using mapping = map(path, { access: 'copy', offset: 10, length: 5 * pageSize });
    mapping.write(new Uint8Array([1]), 0);
    mapping.write(new Uint8Array([1]), 5 * pageSize - 1);
    const all = collectWritten(mapping, { offset: 0, length: 5 * pageSize }, Written.copies);
    assert.deepEqual(all, [
      { offset: 0, length: pageSize - 10 },
      { offset: 5 * pageSize - 10, length: 10 },
    ]);
    const part = collectWritten(mapping, { offset: pageSize, length: pageSize }, Written.copies);
    assert.deepEqual(part, []);
  });

  test('any pages, against the entries of the page table', () => {
    using mapping = map(temporaryFile(3000 * pageSize), { access: 'copy' });
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(2999), { maxLength: 1500 }), (pages) => {
        mapping.discard('dontneed');
        store(mapping, ...pages);
        const entries = Array.from(readPageEntries('self', mapping.address, 3000), decodePageEntry);
        const expected = entries.flatMap(({ present, file }, at) => (present && !file ? [at] : []));
        assert.deepEqual(pagesOf(mapping, Written.copies), expected);
        assert.deepEqual(
          expected,
          pages.toSorted((a, b) => a - b),
        );
      }),
      { numRuns: 20 },
    );
  });
});

test('a mapping that nobody can store to is refused before the kernel is asked', () => {
  using mapping = map(temporaryFile(pageSize));
  assert.throws(() => mapping.watchWrites(), {
    code: 'ERR_MEMMAP_UNSUPPORTED',
    message: "Cannot watch stores: a mapping of access 'read' takes none",
    hint: "map it with access 'write' or 'copy'",
  });
});

describe('watched stores', needs(lacksWatch), () => {
  const kinds: [string, () => Mapping][] = [
    ['anonymous memory', () => anonymous(64 * pageSize)],
    ['a memory object', () => anonymous(64 * pageSize, { shared: true })],
    ['a file', () => map(temporaryFile(64 * pageSize), { access: 'write' })],
    ['a private copy', () => map(temporaryFile(64 * pageSize), { access: 'copy' })],
  ];
  for (const [name, make] of kinds) {
    test(`of ${name}: exact to the page; loads do not count; a reset begins anew`, () => {
      using mapping = make();
      store(mapping, 7);
      native.watchWrites(mapping);
      mapping.read(Buffer.alloc(64 * pageSize));
      assert.deepEqual(pagesOf(mapping, Written.watched), []);
      store(mapping, 3, 4, 40);
      assert.deepEqual(pagesOf(mapping, Written.watched), [3, 4, 40]);
      assert.deepEqual(pagesOf(mapping, Written.reset), [3, 4, 40]);
      assert.deepEqual(pagesOf(mapping, Written.watched), []);
      store(mapping, 4);
      assert.deepEqual(pagesOf(mapping, Written.reset), [4]);
    });
  }

  test('what is watched and was never touched is not called swapped', () => {
    using mapping = anonymous(64 * pageSize);
    mapping.watchWrites();
    store(mapping, 3);
    assert.equal(mapping.translate(0).entry?.swapped, false);
    const runs = scanPages('self', {
      start: mapping.address,
      end: mapping.address + BigInt(mapping.byteLength),
    });
    const isOff = readFileSync('/proc/swaps', 'utf8').trimEnd().split('\n').length === 1;
    if (isOff) assert.ok(runs.every(({ swapped }) => !swapped));
    assert.ok(runs.some(({ present, written }) => present && written));
  });

  test('a write(2) to the file is not a store; a read(2) into the mapping is', () => {
    const path = temporaryFile(64 * pageSize);
    using mapping = map(path, { access: 'write' });
    native.watchWrites(mapping);
    const fd = openSync(path, 'r+');
    writeSync(fd, Buffer.from('x'), 0, 1, 20 * pageSize);
    assert.deepEqual(pagesOf(mapping, Written.watched), []);
    readSync(fd, mapping.window(9 * pageSize, 8), 0, 8, 0);
    assert.deepEqual(pagesOf(mapping, Written.watched), [9]);
    closeSync(fd);
  });

  test('what is not watched is refused, not called written', () => {
    using mapping = map(temporaryFile(4 * pageSize), { access: 'write' });
    assert.throws(() => pagesOf(mapping, Written.watched), isNotWatched);
    const runs = scanPages('self', {
      start: mapping.address,
      end: mapping.address + BigInt(4 * pageSize),
    });
    assert.ok(runs.every((run) => run.written === null));
  });

  test('a fault that was put back ends the watch of its range, and says so', () => {
    const path = temporaryFile(4 * pageSize);
    using mapping = map(path, { access: 'write' });
    native.watchWrites(mapping);
    truncateSync(path, pageSize);
    assert.throws(() => mapping.guard(() => mapping.bytes[3 * pageSize]), {
      code: 'ERR_MEMMAP_TRUNCATED',
    });
    assert.throws(() => pagesOf(mapping, Written.watched), isNotWatched);
    native.watchWrites(mapping);
    store(mapping, 0);
    assert.deepEqual(pagesOf(mapping, Written.watched), [0]);
  });

  test('stores by another mapping of the file are its own', () => {
    const path = temporaryFile(4 * pageSize);
    using mapping = map(path, { access: 'write' });
    using other = map(path, { access: 'write' });
    native.watchWrites(mapping);
    store(other, 2);
    assert.deepEqual(pagesOf(mapping, Written.watched), []);
    assert.equal(readFileSync(path)[2 * pageSize + 5], 1);
  });
});

test('without privileges stores are watched as well', needs(lacksWatch, lacksRoot), async () => {
  const folder = new URL('../../../dist/', import.meta.url).href;
  const ending = await runModule(
    `import { anonymous, pageSize } from 'memmap';
     import { native, Written } from '${folder}binding/native.js';
     import { collectWritten } from '${folder}mapping/written.js';
     import { openSync, readSync } from 'node:fs';
     const memory = anonymous(8 * pageSize);
     native.watchWrites(memory);
     memory.write(Buffer.from('x'), 2 * pageSize);
     readSync(openSync('/proc/self/maps'), memory.window(5 * pageSize, 8), 0, 8, 0);
     const runs = collectWritten(memory, {offset: 0, length: 8 * pageSize}, Written.watched);
     console.log(JSON.stringify(runs.map((run) => run.offset / pageSize)));`,
    { prefix: asNobody },
  );
  assert.equal(ending.stderr, '');
  assert.equal(ending.stdout.trim(), '[2,5]');
});
