import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  openSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { after, describe, test } from 'node:test';
import { inspect } from 'node:util';
import { anonymous, map, pageSize } from 'memmap';
import {
  accountOf,
  addAccounts,
  addressSpace,
  addressSpaceAsync,
  type Check,
  comparePages,
  decodePageEntry,
  diagnose,
  diff,
  evict,
  gapsBetween,
  groupMaps,
  limits,
  mappingAt,
  pageFaults,
  readMaps,
  readPageEntries,
  readRollup,
  readSmaps,
  readStat,
  readStatm,
  readStatus,
  residency,
  scanPages,
  snapshot,
  translate,
} from '#dist/inspect/index.js';
import { endHolders, holderOf } from '../support/holder.js';
import { lacksRoot, needs } from '../support/machine.js';
import { pattern, temporaryFile, temporaryPath } from '../support/temporary.js';

const asRoot = needs(lacksRoot);
const page = BigInt(pageSize);
const lacksSharedFiles = !existsSync('/dev/shm') && 'there is no /dev/shm';
after(endHolders);

describe('maps, smaps and what else there is of the own process', () => {
  const path = temporaryPath('name with spaces\nand a newline');
  writeFileSync(path, pattern(4 * pageSize));

  test('a mapping is found by its address, with its file, offset and rights', () => {
    using mapping = map(path, { access: 'write', offset: pageSize });
    const entry = mappingAt(readMaps(), mapping.address);
    assert.equal(entry?.name, path);
    assert.equal(entry?.permissions, 'rw-s');
    assert.equal(entry?.offset, page);
    assert.equal(entry?.kind, 'file');
    const memory = mappingAt(readSmaps(), mapping.address);
    assert.equal(memory?.inode, entry?.inode);
    assert.equal(typeof memory?.rss, 'number');
  });

  test('a file that is called as if it were deleted is not', async () => {
    const named = temporaryPath('real (deleted)');
    writeFileSync(named, 'x');
    using mapping = map(named);
    const kinds = async () => [
      ...[mappingAt(readMaps(), mapping.address), mappingAt(readSmaps(), mapping.address)],
      mappingAt(
        (await addressSpaceAsync()).groups.flatMap(({ entries }) => entries),
        mapping.address,
      ),
    ];
    for (const entry of await kinds()) {
      assert.deepEqual([entry?.name, entry?.deleted, entry?.kind], [named, false, 'file']);
    }
    unlinkSync(named);
    writeFileSync(named, 'another one');
    for (const entry of await kinds()) {
      assert.deepEqual([entry?.name, entry?.deleted, entry?.kind], [named, true, 'deleted file']);
    }
  });

  test('memory with a name, shared and private', () => {
    using shared = anonymous(pageSize, { shared: true });
    using own = anonymous(pageSize);
    const entries = readMaps();
    assert.equal(mappingAt(entries, shared.address)?.kind, 'memfd');
    assert.equal(mappingAt(entries, own.address)?.kind, 'anonymous');
  });

  test('the parts agree', () => {
    const stat = readStat();
    assert.equal(stat.pid, process.pid);
    assert.equal(readStatus().pid, process.pid);
    assert.ok(readStatm().resident > 0);
    assert.ok((readRollup().rss ?? 0) > 0);
    assert.ok(pageFaults().minor > 0);
    assert.equal(pageFaults(process.pid).pid, process.pid);
  });

  test('a touch of anonymous memory is a minor fault', () => {
    using memory = anonymous(64 * pageSize);
    const before = pageFaults().minor;
    for (let at = 0; at < 64; at++) memory.write(new Uint8Array([1]), at * pageSize);
    assert.ok(pageFaults().minor - before >= 1);
  });

  test('groups and total are of one size; the reserve is no memory', () => {
    const space = addressSpace('self');
    const sum = space.groups.reduce((total, group) => total + group.virtual, 0);
    assert.equal(sum, space.total.virtual);
    assert.ok(space.total.maps > 10);
    assert.ok((space.maximumMaps ?? Infinity) >= space.total.maps);
    assert.deepEqual(space.unknown, []);
    assert.ok(space.gaps.length > 0);
    const cheap = addressSpace('self', { by: 'file', cheap: true });
    assert.equal(cheap.total.resident, null);
    assert.equal(cheap.unknown[0]?.what, 'memory');
  });

  test('entries and gaps are made when they are asked for, once, and go with a copy', () => {
    const space = addressSpace('self', { by: 'kind' });
    const entries = space.groups.flatMap((group) => group.entries);
    assert.equal(entries.length, space.total.maps);
    assert.equal(space.groups[0]?.entries, space.groups[0]?.entries);
    assert.equal(space.gaps, space.gaps);
    const copy = { ...space.groups[0] };
    assert.equal(copy.entries, space.groups[0]?.entries);
    for (const group of space.groups) {
      const { name, kind, entries, ...sums } = group;
      assert.deepEqual(sums, addAccounts(entries.map(accountOf)), name);
      assert.ok(entries.every((entry) => entry.kind === kind));
    }
    const [regrouped] = groupMaps(entries, 'kind');
    assert.deepEqual({ ...regrouped }, copy);
    assert.doesNotMatch(inspect(space, { depth: 3 }), /Getter/);
    assert.match(inspect(space), /gaps: \[/);
    const inOrder = entries.sort((a, b) => (a.start < b.start ? -1 : 1));
    assert.deepEqual(gapsBetween(inOrder), space.gaps);
  });

  test('off the event loop: the same answer, and the same errors as rejections', async () => {
    const pid = await holderOf(temporaryFile(4 * pageSize), 4);
    for (const by of ['kind', 'file', 'permissions', 'none'] as const) {
      const [here, there] = [addressSpace(pid, { by }), await addressSpaceAsync(pid, { by })];
      const names = ({ groups }: typeof here) => groups.map(({ name }) => name).sort();
      assert.deepEqual(names(there), names(here));
      assert.equal(there.total.virtual, here.total.virtual);
    }
    const cheap = await addressSpaceAsync(pid, { cheap: true });
    assert.equal(cheap.total.resident, null);
    const both = await Promise.all([addressSpaceAsync(), addressSpaceAsync()]);
    assert.ok(both.every(({ total }) => (total.resident ?? 0) > 0));
    await assert.rejects(addressSpaceAsync(4_194_000), { code: 'ESRCH' });
    await assert.rejects(addressSpaceAsync(0), { code: 'ERR_OUT_OF_RANGE' });
    await assert.rejects(addressSpaceAsync('self', { by: 'size' as never }), /options.by/);
  });

  test('arguments are checked by name', () => {
    assert.throws(() => readMaps(0), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => readMaps('1' as never), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => addressSpace('self', { by: 'size' as never }), /options.by/);
    assert.throws(() => translate('self', 5 as never), /address/);
    assert.throws(() => translate('self', -1n), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => scanPages('self', { start: 1n, end: page }), /range.start/);
    assert.throws(() => residency('/x', { cells: -1 }), /options.cells/);
    assert.throws(() => diagnose('/x', { lock: 1.5 }), /needs.lock/);
    assert.throws(() => evict('/x', { from: 1 as never }), /options.from/);
    assert.throws(() => evict('/x', { from: [0] }), /options.from/);
  });

  test('a thread of the kernel has no page table, which is no matter of rights', (t) => {
    const thread = 2; // kthreadd, outside of pid namespaces
    const isThread = existsSync('/proc/2') && readStat(thread).name === 'kthreadd';
    if (!isThread) return t.skip('process 2 is no thread of the kernel');
    const [gap] = translate(thread, 4096n).unknown;
    assert.match(gap?.why ?? '', /thread of the kernel/);
    assert.equal(gap?.hint, null);
  });

  test('an address makes no tables: the depth is that of what is mapped', () => {
    const { levels } = translate('self', 4096n);
    for (const address of [1n << 60n, 0x8000n << 48n]) {
      const { levels: found, walk, entry, unknown } = translate('self', address);
      assert.deepEqual([found, walk, entry], [levels, null, null]);
      assert.equal(unknown.length, 1);
      assert.match(unknown[0]?.why ?? '', /^it is no address of a \d-level page table: /);
    }
    const [gap] = translate('self', 0xffffffff81000000n).unknown;
    assert.match(gap?.why ?? '', /belongs to the kernel/);
  });

  test('a process that is not there is ESRCH', () => {
    const gone = 4_194_000;
    for (const look of [readMaps, readStatus, limits, snapshot, addressSpace]) {
      assert.throws(() => look(gone), { code: 'ESRCH' });
    }
    assert.throws(() => translate(gone, 0n), { code: 'ESRCH' });
  });
});

describe('locked and huge memory', () => {
  test("locked is what is locked: smaps' Locked is a share of it", () => {
    const path = temporaryFile(16 * pageSize);
    using mapping = map(path);
    using other = map(path);
    mapping.lock();
    other.read(Buffer.alloc(16 * pageSize));
    const entry = mappingAt(readSmaps(), mapping.address);
    assert.ok(entry);
    assert.equal(accountOf(entry).locked, 16 * pageSize);
    assert.ok((entry.lockedShare ?? 0) < 16 * pageSize);
    assert.equal(addressSpace('self').locked, 16 * pageSize);
  });

  test('a transparent huge page ends the walk at the PMD', (context) => {
    const huge = (pageSize * pageSize) / 8;
    using memory = anonymous(2 * huge, { hugePages: 'transparent' });
    memory.write(new Uint8Array([1]), 0);
    const runs = scanPages('self', {
      start: memory.address,
      end: memory.address + BigInt(2 * huge),
    });
    if (!runs.some((run) => run.huge)) return context.skip('the kernel gave no huge page');
    const translation = translate('self', memory.address + 5n);
    assert.equal(translation.walk?.leaf, 'PMD');
    assert.equal(translation.walk?.pageBytes, huge);
    assert.equal(translation.walk?.offset, 5);
  });
});

describe('translate', () => {
  test('the indexes are those of the address', () => {
    using memory = anonymous(3 * pageSize);
    memory.write(new Uint8Array([1]), pageSize);
    const address = memory.address + page + 7n;
    const translation = translate('self', address);
    assert.equal(translation.mapping?.kind, 'anonymous');
    assert.equal(translation.entry?.present, true);
    assert.equal(translation.entry?.file, false);
    const { walk } = translation;
    assert.ok(walk);
    const sum = walk.indexes.reduce(
      (total, { index, shift }) => total + (BigInt(index) << BigInt(shift)),
      BigInt(walk.offset),
    );
    assert.equal(sum, address);
    const [entry] = readPageEntries('self', memory.address + page, 1);
    assert.deepEqual(decodePageEntry(entry ?? 0n), translation.entry);
  });

  test('the byte of the file under an address', () => {
    using mapping = map(temporaryFile(4 * pageSize), { offset: pageSize });
    assert.equal(translate('self', mapping.address + page + 3n).fileOffset, 2n * page + 3n);
  });

  test('what is not mapped has no entry that says anything, and no mapping', () => {
    const { entry, mapping, frame, fileOffset } = translate('self', 0n);
    assert.equal(entry?.present, false);
    assert.deepEqual([mapping, frame, fileOffset], [null, null, null]);
  });

  test('the upper half is the kernel: named, not guessed', () => {
    const { frame, unknown } = translate('self', 0xffffffff81000000n);
    assert.equal(frame, null);
    assert.equal(unknown[0]?.what, 'entry');
  });

  test('frame, count and flags of a page, and of the same page elsewhere', asRoot, () => {
    const path = temporaryFile(pageSize);
    using one = map(path);
    using two = map(path);
    for (const mapping of [one, two]) mapping.read(Buffer.alloc(1));
    const first = translate('self', one.address);
    const second = translate('self', two.address + 9n);
    assert.ok(first.frame !== null);
    assert.equal(first.frame, second.frame);
    assert.equal(second.physicalAddress, first.frame * page + 9n);
    assert.ok((first.mapcount ?? 0) >= 2);
    assert.ok(first.flags?.some((flag) => flag.name === 'MMAP'));
    assert.deepEqual(first.unknown, []);
  });

  test('two mappings of a file share their frames; a private copy splits one', asRoot, () => {
    const path = temporaryFile(4 * pageSize);
    using copy = map(path, { access: 'copy' });
    copy.read(Buffer.alloc(4 * pageSize));
    const range = { start: copy.address, end: copy.address + 4n * page };
    const { pages, by } = comparePages('self', process.pid, range);
    assert.equal(by, 'frame');
    assert.deepEqual(pages, ['same', 'same', 'same', 'same']);
    using other = map(path);
    other.read(Buffer.alloc(4 * pageSize));
    copy.write(new Uint8Array([1]), 2 * pageSize);
    const ours = Array.from(readPageEntries('self', copy.address, 4), decodePageEntry);
    const theirs = Array.from(readPageEntries('self', other.address, 4), decodePageEntry);
    const same = ours.map((entry, at) => entry.frame === theirs[at]?.frame);
    assert.deepEqual(same, [true, true, false, true]);
  });
});

describe('limits and diagnosis', () => {
  test('limits are those of the process', () => {
    const { resources, maps, controlGroup, hugePages, unknown } = limits();
    assert.ok(resources.RLIMIT_MEMLOCK);
    assert.ok((maps.used ?? 0) > 10);
    assert.deepEqual(unknown, []);
    assert.ok(controlGroup === null || [1, 2].includes(controlGroup.version));
    for (const pool of hugePages) assert.ok(pool.pageSize > pageSize);
  });

  const statusOf = (checks: ReturnType<typeof diagnose>, name: string) =>
    checks.find((check) => check.name === name)?.status;

  test('what is needed and cannot be had fails, with a cure', () => {
    const checks = diagnose(undefined, { maps: 2 ** 40, huge: 2 ** 50 });
    const failed = checks.filter((check) => check.status === 'fail');
    assert.ok(failed.some((check) => check.name === 'mappings'));
    assert.ok(failed.some((check) => check.name.startsWith('huge pages')));
    for (const check of failed) assert.ok(check.cure, check.name);
    assert.equal(diagnose().filter((check) => check.status === 'fail').length, 0);
  });

  test('more than the addresses, or than the largest hole, fails; a promise of memory is no cure', () => {
    const found = (map: number) => diagnose(undefined, { map });
    const check = found(1).find(({ name }) => name === 'addresses');
    const tebibytes = Number(/largest hole has ([\d.]+) TiB$/.exec(check?.value ?? '')?.[1] ?? 0);
    for (const map of [Math.ceil(tebibytes + 10) * 2 ** 40, 2 ** 52]) {
      const checks = found(map);
      assert.equal(statusOf(checks, 'addresses'), 'fail');
      assert.equal(statusOf(checks, 'overcommit'), 'ok');
    }
    assert.equal(check?.status, 'ok');
  });

  test('sizes of transparent huge pages, where the kernel has several', () => {
    const { sizes } = limits().transparentHugePages;
    for (const [index, size] of sizes.entries()) {
      assert.ok(size.pageSize > (sizes[index - 1]?.pageSize ?? pageSize));
    }
    const check = diagnose().find(({ name }) => name === 'sizes of transparent huge pages');
    assert.equal(check?.status, sizes.length > 0 ? 'ok' : 'skip');
  });

  test('the verdict on mappings names what limits them', () => {
    for (const maps of [1, 2 ** 40]) {
      const check = diagnose(undefined, { maps }).find(({ name }) => name === 'mappings');
      assert.match(check?.value ?? '', /^\d+ of \d+ \(vm\.max_map_count\)$/);
    }
  });

  test('a file that no hole has room for fails', needs(lacksSharedFiles), () => {
    const path = `/dev/shm/memmap-test-${process.pid}`;
    try {
      writeFileSync(path, '');
      truncateSync(path, 2 ** 52); // more than a file of most disks can have
      const check = diagnose(path).find(({ name }) => name === 'size');
      assert.equal(check?.status, 'fail');
      assert.match(check?.why ?? '', /ENOMEM$/);
    } finally {
      rmSync(path, { force: true });
    }
  });

  const lengths: [string, number, RegExp][] = [
    ['part of a page', 1, /^no whole pages$/],
    ['pages', 3 * pageSize, /^whole pages$/],
    ['a gibibyte', 2 ** 30, /^whole (huge )?pages/],
  ];
  for (const [what, length, value] of lengths) {
    test(`the length of a file against pages: ${what}`, () => {
      const path = temporaryFile(0);
      truncateSync(path, length);
      const check = diagnose(path).find(({ name }) => name === 'alignment');
      assert.match(check?.value ?? '', value);
    });
  }

  const files: [string, () => string, string, string][] = [
    ['a directory', () => '/tmp', 'type', 'fail'],
    ['a file of /proc', () => '/proc/self/maps', 'file system', 'fail'],
    ['nothing', () => temporaryPath('nothing'), 'type', 'fail'],
    ['an empty file', () => temporaryFile(0), 'size', 'warn'],
    ['a file', () => temporaryFile(pageSize), 'in memory', 'ok'],
    ['a file with holes', () => sparse(), 'holes', 'ok'],
  ];
  function sparse(): string {
    const path = temporaryFile(0);
    truncateSync(path, 1024 * pageSize);
    return path;
  }
  for (const [what, path, name, status] of files) {
    test(`${what}: ${name} is ${status}`, () => {
      assert.equal(statusOf(diagnose(path()), name), status);
    });
  }

  test('what has no path any more is of the file system that it is on, not of proc', async () => {
    const path = temporaryFile(pageSize);
    const systemOf = (name: string) =>
      diagnose(name).find((check) => check.name === 'file system') as Check;
    const before = systemOf(path);
    assert.match(before.value, /^\S+ on \/.*, magic 0x[0-9a-f]+$/);
    const descriptor = openSync(path, 'r');
    unlinkSync(path);
    assert.deepEqual(systemOf(`/proc/self/fd/${descriptor}`), before);
    assert.deepEqual(systemOf(`/proc/${process.pid}/fd/${descriptor}`), before);
    closeSync(descriptor);
    using memory = anonymous(pageSize, { shared: true });
    const { start, end } = mappingAt(readMaps(), memory.address) as { start: bigint; end: bigint };
    const object = `/proc/self/map_files/${start.toString(16)}-${end.toString(16)}`;
    if (!existsSync(object)) return; // it takes CAP_SYS_ADMIN in old kernels
    const { status, value } = systemOf(object);
    assert.deepEqual([status, value], ['ok', 'tmpfs not mounted, magic 0x1021994']);
  });

  test('the own process is readable', () => {
    assert.equal(statusOf(diagnose(process.pid), 'readable'), 'ok');
  });
});

describe('snapshot and diff', () => {
  test('survives JSON, and shows what came and went', () => {
    using before = anonymous(pageSize);
    const first = JSON.parse(JSON.stringify(snapshot()));
    assert.deepEqual(first.schema, 'memmap.snapshot/1');
    const path = temporaryFile(pageSize);
    using mapping = map(path);
    before.close();
    const changes = diff(first, snapshot());
    assert.equal(changes.sameProcess, true);
    assert.ok(changes.elapsed >= 0);
    assert.ok(changes.added.some((added) => added.name === path));
    assert.ok(changes.total.maps.change !== null);
    assert.ok(changes.faults.minor >= 0);
    assert.equal(mapping.byteLength, pageSize);
  });

  test('a snapshot and itself are alike', () => {
    const one = snapshot();
    const { added, removed, changed } = diff(one, one);
    assert.deepEqual([added, removed, changed], [[], [], []]);
  });

  test('another form is refused', () => {
    const one = snapshot();
    assert.throws(() => diff({ ...one, schema: 'x' as never }, one), { code: 'EINVAL' });
  });
});
