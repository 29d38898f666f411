/**
 * Stores into holes of a file on a disk that has no block left.
 */
import assert from 'node:assert/strict';
import { rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FaultError, map, pageSize } from 'memmap';
import { countMappings, faultOf, pendingFault } from '../support/fault.ts';
import { hazard } from '../support/hazard.ts';
import { lacksCommand, lacksRoot, mounted } from '../support/machine.ts';

const page = pageSize;
const code = 'ERR_MEMMAP_IO';
const lacks = lacksRoot || lacksCommand('unshare');
/** Mounts are this process's own, so that they end with it however it ends. */
const prefix = ['unshare', '--mount'];

/** A tmpfs of 1 MiB, `used` bytes of it in a file to be removed, and a file of holes beside it. */
function smallDisk(used: number, holes: number): { path: string; ballast: string } {
  const directory = mounted('tmpfs', 'size=1m');
  if (!directory) throw new Error('mount -t tmpfs failed, although this is root');
  const path = join(directory, 'holes');
  const ballast = join(directory, 'ballast');
  writeFileSync(ballast, Buffer.alloc(used, 1));
  writeFileSync(path, '');
  truncateSync(path, holes);
  return { path, ballast };
}

hazard(
  'the store that finds no block is reported; with space it works',
  () => {
    const { path, ballast } = smallDisk(1 << 20, 64 * page);
    const mapping = map(path, { access: 'write' });
    mapping.bytes[3 * page + 1] = 7;
    const fault = pendingFault(mapping, code);
    assert.equal(fault.offset, 3 * page + 1);
    assert.equal(fault.access, 'write');
    assert.match(fault.hint ?? '', /space/);
    rmSync(ballast);
    mapping.bytes[3 * page + 1] = 8;
    mapping.check();
    assert.equal(map(path).bytes[3 * page + 1], 8);
  },
  { lacks, prefix },
);

hazard(
  'a file larger than its disk, filled: what was stored before it was full is kept',
  () => {
    const { path, ballast } = smallDisk(1 << 19, 4 << 20);
    const mapping = map(path, { access: 'write' });
    const before = countMappings();
    let first: FaultError | undefined;
    let stored = 0;
    for (; !first; stored += page) {
      mapping.bytes.fill(stored / page + 1, stored, stored + page);
      try {
        mapping.check();
      } catch (error) {
        first = error as FaultError;
      }
    }
    assert.equal(first.code, code);
    assert.equal(first.offset, stored - page);
    mapping.bytes.fill(0xff, stored);
    pendingFault(mapping, code);
    assert.ok(countMappings() < before + 20);
    for (let at = 0; at < stored - page; at += page) {
      const expected = Buffer.alloc(page, at / page + 1);
      assert.ok(mapping.bytes.subarray(at, at + page).equals(expected), `byte ${at}`);
    }
    rmSync(ballast);
    mapping.bytes.fill(0x33, stored, stored + 100 * page);
    mapping.check();
    assert.ok(
      map(path)
        .bytes.subarray(stored, stored + 100 * page)
        .every((byte) => byte === 0x33),
    );
  },
  { lacks, prefix },
);

hazard(
  'pages that have their blocks keep their stores while others fail',
  () => {
    const { path } = smallDisk((1 << 20) - 8 * page, 256 * page);
    const mapping = map(path, { access: 'write' });
    // Every 64th page gets a block; the disk is full after eight of them.
    const good = [0, 64, 128, 192];
    for (const index of good) mapping.bytes[index * page] = index + 1;
    for (let index = 1; index < 256; index += 2) mapping.bytes[index * page] = 0xee;
    pendingFault(mapping, code);
    for (const index of good) assert.equal(mapping.bytes[index * page], index + 1);
    for (const index of good) mapping.bytes[index * page + 1] = 9;
    mapping.check();
    const other = map(path).bytes;
    for (const index of good) assert.equal(other[index * page + 1], 9);
  },
  { lacks, prefix },
);

hazard(
  'write() and extend say it instead of faulting',
  () => {
    const { path } = smallDisk(1 << 20, 64 * page);
    const mapping = map(path, { access: 'write' });
    const source = Buffer.alloc(2 * page, 1);
    const error = faultlike(() => mapping.write(source));
    assert.equal(error.code, code);
    mapping.check();
    assert.throws(() => mapping.resize(128 * page), { code: 'ENOSPC' });
    const options = { access: 'write', extend: true, length: 256 * page } as const;
    assert.throws(() => map(path, options), { code: 'ENOSPC' });
    faultOf(code, () =>
      mapping.guard(() => {
        mapping.bytes[0] = 1;
      }),
    );
  },
  { lacks, prefix },
);

function faultlike(run: () => unknown): { code?: string } {
  try {
    run();
  } catch (error) {
    return error as { code?: string };
  }
  return {};
}
