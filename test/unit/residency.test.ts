import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { test } from 'node:test';
import { anonymous, map, pageSize } from 'memmap';
import { runModule } from '../support/child.ts';
import { asNobody, lacksCommand, lacksKernel, lacksRoot, needs } from '../support/machine.ts';
import { temporaryDirectory, temporaryFile } from '../support/temporary.ts';

const kernel = needs(lacksKernel);

test('memory comes in page by page', kernel, () => {
  using mapping = anonymous(20 * pageSize);
  mapping.advise('nohugepage');
  const { pageSize: page, pages, resident, bitmap } = mapping.residency();
  assert.deepEqual([page, pages, resident], [pageSize, 20, 0]);
  assert.deepEqual(bitmap, new Uint8Array(3));
  for (const touched of [0, 3, 8, 19]) mapping.bytes[touched * pageSize] = 1;
  const after = mapping.residency();
  assert.equal(after.resident, 4);
  assert.deepEqual(after.bitmap, new Uint8Array([0b1001, 0b1, 0b1000]));
});

test('a range is rounded outwards to pages', kernel, () => {
  using mapping = anonymous(4 * pageSize);
  const pages = (offset: number, length: number) => mapping.residency({ offset, length }).pages;
  assert.equal(pages(0, 1), 1);
  assert.equal(pages(1, pageSize), 2);
  assert.equal(pages(pageSize - 1, 2), 2);
  assert.equal(pages(pageSize, pageSize), 1);
  assert.equal(pages(5, 0), 0);
  assert.equal(mapping.residency().pages, 4);
});

test('pages are those of the file, also from an odd offset on', kernel, () => {
  using mapping = map(temporaryFile(4 * pageSize), { offset: pageSize - 1, length: 2 });
  const { pages, resident } = mapping.residency();
  assert.deepEqual([pages, resident], [2, 2]);
});

test('a file that was just written is in memory', kernel, () => {
  for (const access of ['read', 'write', 'copy'] as const) {
    using mapping = map(temporaryFile(10 * pageSize), { access });
    assert.equal(mapping.residency().resident, 10);
  }
});

const other = needs(lacksKernel, lacksRoot, !lacksRoot && lacksCommand('setpriv'));

test('what the kernel would not tell truly is unknown, never a guess', other, async () => {
  const path = temporaryFile(3 * pageSize);
  chmodSync(temporaryDirectory(), 0o755);
  chmodSync(path, 0o644);
  const source = `
    import { map } from 'memmap';
    const mapping = map(process.argv[1]);
    const said = [mapping.residency(), await mapping.prefetch(), await mapping.evict()];
    console.log(JSON.stringify(said));`;
  const { code, stdout, stderr } = await runModule(source, { args: [path], prefix: asNobody });
  assert.deepEqual([code, stderr], [0, '']);
  const unknown = { pageSize, pages: 3, resident: null, bitmap: null };
  assert.deepEqual(JSON.parse(stdout), [unknown, unknown, unknown]);
});
