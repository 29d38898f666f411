import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, closeSync, openSync, truncateSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import { anonymous, map, pageSize } from 'memmap';
import {
  accountOf,
  diagnose,
  evict,
  holders,
  limits,
  mappingAt,
  readMaps,
  readSmaps,
  readStat,
  residency,
  scanPages,
  translate,
} from '#dist/inspect/index.js';
import { lacksDisk } from '../support/command.js';
import { endHolders, holderOf } from '../support/holder.js';
import { lacksRoot, needs } from '../support/machine.js';
import { pattern, temporaryFile, temporaryPath } from '../support/temporary.js';

after(endHolders);

const onDisk = needs(lacksDisk);
const { source } = residency(temporaryFile(pageSize));
const lacksCachestat = source !== 'cachestat' && 'the kernel has no cachestat';

/** A file that is on the disk, and so can leave memory. */
function cleanFile(pages: number): string {
  const path = temporaryFile(pages * pageSize);
  evict(path, { sync: true });
  return path;
}

describe('residency of files', () => {
  test('what was written is in memory and dirty; what was evicted is not', onDisk, () => {
    const path = temporaryFile(64 * pageSize);
    const written = residency(path, { cells: 4 });
    assert.equal(written.cached, 64);
    assert.deepEqual(
      written.cells.map((cell) => cell.pages),
      [16, 16, 16, 16],
    );
    assert.equal(
      written.cells.reduce((sum, cell) => sum + (cell.cached ?? 0), 0),
      64,
    );
    const { complete, after: left, freed, reasons } = evict(path, { sync: true });
    assert.equal(left.cached, 0);
    assert.equal(complete, true);
    assert.equal(freed, 64 * pageSize);
    assert.deepEqual(reasons, []);
  });

  test('both sources agree; mincore knows no more than what is there', () => {
    const path = temporaryFile(8 * pageSize);
    const first = residency(path, { source: 'mincore', cells: 3 });
    assert.equal(first.cached, 8);
    assert.equal(first.dirty, null);
    assert.deepEqual(
      first.cells.map((cell) => cell.cached),
      residency(path, { cells: 3 }).cells.map((cell) => cell.cached),
    );
    assert.equal(first.unknown[0]?.what, 'dirty, writeback, evicted');
  });

  test('a short last page counts as one; an empty file has none', () => {
    const path = temporaryFile(pageSize + 1);
    assert.equal(residency(path).pages, 2);
    truncateSync(path, 0);
    for (const source of ['cachestat', 'mincore'] as const) {
      const empty = residency(path, { source, cells: 8 });
      assert.equal(empty.pages, 0);
      assert.deepEqual(empty.cells, []);
    }
  });

  test('a range is rounded outwards to pages', () => {
    const path = temporaryFile(8 * pageSize);
    const part = residency(path, { range: { offset: pageSize + 1, length: pageSize } });
    assert.deepEqual([part.offset, part.length, part.pages], [pageSize, 2 * pageSize, 2]);
    const end = residency(path, { range: { offset: 8 * pageSize } });
    assert.equal(end.pages, 0);
    assert.throws(() => residency(path, { range: { offset: 9 * pageSize } }), /range.offset/);
  });

  test('by descriptor and by URL; the descriptor stays open', () => {
    const path = temporaryFile(pageSize);
    const fd = openSync(path, 'r');
    assert.equal(residency(fd).path, path);
    assert.equal(residency(new URL(`file://${path}`)).cached, 1);
    assert.equal(residency({ fd }).cached, 1);
    closeSync(fd);
    using memory = anonymous(4 * pageSize, { shared: true });
    memory.write(pattern(4 * pageSize));
    assert.equal(residency(memory.fd).cached, 4);
  });

  test('of huge pages: how many there are, from the file, not from a new page table', (context) => {
    const [pool] = limits().hugePages;
    if ((pool?.free ?? 0) < 2) return context.skip('the pool of huge pages is empty');
    const { pageSize: huge } = pool as { pageSize: number };
    using memory = anonymous(2 * huge, { shared: true, hugePages: '2MiB' });
    memory.write(new Uint8Array([1]), 0);
    const found = residency(memory.fd, { cells: 2 });
    assert.deepEqual([found.pageSize, found.pages, found.cached], [huge, 2, 1]);
    assert.deepEqual([found.source, found.cells[0]?.cached], ['stat', null]);
    assert.equal(residency(memory.fd, { range: { length: huge } }).cached, null);
    const entry = mappingAt(readSmaps(), memory.address);
    assert.ok(entry);
    assert.deepEqual([entry.kind, entry.rss, accountOf(entry).resident], ['hugetlb', 0, huge]);
    assert.equal(translate('self', memory.address + 5n).walk?.pageBytes, huge);
  });

  test('what has no page cache is refused by name', () => {
    assert.throws(() => residency('/tmp'), { code: 'EISDIR' });
    assert.throws(() => residency('/dev/null'), { code: 'ENODEV' });
    const pipe = temporaryPath('pipe');
    spawnSync('mkfifo', [pipe]);
    assert.throws(() => residency(pipe), { code: 'ENODEV' });
    assert.equal(diagnose(pipe).at(-1)?.value, 'pipe');
    assert.throws(() => residency(temporaryPath('nothing')), { code: 'ENOENT', syscall: 'open' });
  });

  test('cached is not mapped: a touch reads ahead, and the table gets a few', onDisk, () => {
    const path = cleanFile(64);
    using mapping = map(path);
    mapping.read(Buffer.alloc(1), 32 * pageSize);
    const { cached } = residency(path);
    assert.ok((cached ?? 0) >= 1);
    const rss = mappingAt(readSmaps(), mapping.address)?.rss ?? 0;
    assert.ok(rss >= pageSize && rss <= (cached ?? 0) * pageSize);
  });

  test(
    'one byte stored makes a folio dirty: one page at least, all of them at most',
    needs(lacksCachestat),
    () => {
      const path = temporaryFile(64 * pageSize);
      using mapping = map(path, { access: 'write' });
      mapping.flushSync();
      mapping.write(new Uint8Array([7]), 10 * pageSize);
      const { dirty, pages } = residency(path);
      assert.ok(dirty !== null && dirty >= 1 && dirty <= pages, `${dirty} dirty`);
      mapping.flushSync();
      assert.equal(residency(path).dirty, 0);
    },
  );
});

describe('who keeps a file in memory', () => {
  test('a mapper is found, with its mappings and what they hold', async () => {
    const path = temporaryFile(32 * pageSize);
    const pid = await holderOf(path, 32);
    const found = holders(path).holders.find((holder) => holder.pid === pid);
    assert.ok(found);
    assert.equal(found.startTicks, readStat(pid).startTicks);
    assert.equal(found.mappings[0]?.name, path);
    assert.equal(found.resident, 32 * pageSize);
  });

  test(
    'of a range only whole pages leave; what ends with the file ends with a page',
    onDisk,
    () => {
      const path = cleanFile(4);
      appendFileSync(path, 'x');
      const size = 4 * pageSize + 1;
      const asked = (offset: number, length: number) => {
        const { before } = evict(path, { sync: true, range: { offset, length } });
        return [before.offset, before.length, before.pages];
      };
      assert.deepEqual(asked(100, pageSize - 200).slice(1), [0, 0]);
      assert.deepEqual(asked(pageSize - 96, 200).slice(1), [0, 0]);
      assert.deepEqual(asked(100, 2 * pageSize), [pageSize, pageSize, 1]);
      assert.deepEqual(asked(3 * pageSize + 1, pageSize), [4 * pageSize, 1, 1]);
      assert.deepEqual(asked(0, size), [0, size, 5]);
    },
  );

  test('what a file system keeps in memory leaves only to swap, and that is the reason', () => {
    using memory = anonymous(4 * pageSize, { shared: true });
    memory.write(pattern(4 * pageSize));
    memory.bytes.fill(1);
    const { complete, reasons } = evict(`/proc/self/fd/${memory.fd}`);
    assert.equal(complete, false);
    assert.ok(reasons.some(({ reason }) => reason === 'memory'));
  });

  test('an eviction that left pages says so, and who has them', onDisk, async () => {
    const path = cleanFile(32);
    const pid = await holderOf(path, 32);
    const { complete, after: left, reasons } = evict(path, { sync: true });
    assert.equal(complete, false);
    assert.ok((left.cached ?? 0) >= 1);
    const [reason] = reasons.filter(({ holder }) => holder?.pid === pid);
    assert.equal(reason?.reason, 'mapped');
  });

  test(
    'pages that one process maps leave when it is asked for them',
    needs(lacksDisk, lacksRoot),
    async () => {
      const path = cleanFile(32);
      const pid = await holderOf(path, 32);
      const { after: left } = evict(path, { sync: true, from: [pid] });
      assert.equal(left.cached, 0);
    },
  );

  test('locked pages stay, and are named so', needs(lacksRoot), async () => {
    const path = cleanFile(8);
    const pid = await holderOf(path, 8, 'mapping.lock();');
    const { after: left, reasons } = evict(path, { sync: true, from: [pid] });
    assert.equal(left.cached, 8);
    assert.equal(reasons.find(({ holder }) => holder?.pid === pid)?.reason, 'locked');
  });

  test('other processes are shown with what they map', async () => {
    const path = temporaryFile(4 * pageSize);
    const pid = await holderOf(path, 4);
    const entry = readMaps(pid).find(({ name }) => name === path);
    assert.ok(entry);
    const translation = translate(pid, entry.start);
    assert.equal(translation.entry?.present, true);
    assert.equal(translation.mapping?.name, path);
    assert.ok(scanPages(pid, entry).every((run) => run.present && run.file));
  });
});
