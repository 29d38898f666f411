/**
 * A disk that fails: a loop device whose backing file was cut under it gives EIO for what is gone.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { anonymous, map, pageSize } from 'memmap';
import { pendingFault, turns } from '../support/fault.ts';
import { hazard } from '../support/hazard.ts';
import { lacksCommand, lacksRoot, mounted } from '../support/machine.ts';
import { atExit, pattern, temporaryPath } from '../support/temporary.ts';

const page = pageSize;
const code = 'ERR_MEMMAP_IO';
const size = 16 << 20;
const lacks =
  lacksRoot ||
  lacksCommand('losetup', 'mkfs.ext4', 'unshare') ||
  (!existsSync('/dev/loop-control') && 'this kernel has no loop devices');

/** Mounts are this process's own, so that they end with it however it ends. */
const prefix = ['unshare', '--mount'];

/** A loop device over a file, for as long as somebody has it open: `use` opens it. */
function withLoopDevice<T>(backing: string, use: (device: string) => T): T {
  const options = { encoding: 'utf8' } as const;
  const device = execFileSync('losetup', ['--find', '--show', backing], options).trim();
  try {
    return use(device);
  } finally {
    execFileSync('losetup', ['--detach', device]);
  }
}

function flushDevice(device: string): void {
  execFileSync('blockdev', ['--flushbufs', device]);
}

hazard(
  'a block device: loads of what it cannot read give zeros and a report',
  () => {
    const content = pattern(1 << 20);
    const backing = temporaryPath('backing');
    writeFileSync(backing, content);
    const mapping = withLoopDevice(backing, (device) => map(device));
    const device = mapping.path as string;
    assert.equal(mapping.byteLength, content.length);
    assert.ok(mapping.bytes.subarray(0, page).equals(content.subarray(0, page)));
    truncateSync(backing, 4 * page);
    flushDevice(device);
    const at = content.length / 2 + 9;
    assert.equal(mapping.bytes[at], 0);
    const fault = pendingFault(mapping, code);
    assert.equal(fault.offset, at);
    assert.equal(fault.access, 'read');
    assert.ok(mapping.bytes.subarray(0, page).equals(content.subarray(0, page)));
    mapping.check();
    writeFileSync(backing, content, { flag: 'r+' });
    flushDevice(device);
    assert.ok(mapping.bytes.equals(content), 'healed');
    mapping.check();
  },
  { lacks, prefix },
);

hazard(
  'a file on ext4 whose disk lost the blocks',
  async () => {
    const content = pattern(4 << 20);
    const backing = temporaryPath('backing');
    writeFileSync(backing, '');
    truncateSync(backing, size);
    execFileSync('mkfs.ext4', ['-q', '-O', '^has_journal', backing]);
    const directory = temporaryPath('mount');
    mkdirSync(directory);
    withLoopDevice(backing, (device) =>
      execFileSync('mount', ['-o', 'errors=continue', device, directory]),
    );
    atExit(() => spawnSync('umount', ['-l', directory]));
    const path = join(directory, 'file');
    writeFileSync(path, content);
    const mapping = map(path, { access: 'write' });
    await mapping.flush();
    execFileSync('sync', ['-f', path]);
    await mapping.evict();
    const whole = readFileSync(backing);
    const begin = whole.indexOf(content.subarray(0, page));
    assert.ok(begin > 0, 'the file is in its disk');
    truncateSync(backing, begin + page);
    const { bytes } = mapping;
    const at = bytes.length - 1;
    assert.equal(bytes[at], 0);
    assert.equal(pendingFault(mapping, code).offset, at);
    const target = Buffer.alloc(page, 1);
    assert.throws(() => mapping.read(target, bytes.length - page), { code });
    mapping.check();
    await mapping.prefetch().then(
      () => {},
      (error) => assert.match(error.code, /^(EIO|EFAULT)$/),
    );
    writeFileSync(backing, whole, { flag: 'r+' });
    await mapping.evict();
    assert.ok(bytes.equals(content), 'healed');
    mapping.check();
  },
  { lacks, prefix },
);

hazard(
  'a disk that cannot take what was stored: flush rejects, flushSync throws',
  async () => {
    const small = mounted('tmpfs', 'size=1m');
    assert.ok(small);
    const backing = join(small, 'backing');
    writeFileSync(backing, '');
    truncateSync(backing, 8 << 20);
    const mapping = withLoopDevice(backing, (device) => map(device, { access: 'write' }));
    mapping.bytes.fill(1);
    await assert.rejects(mapping.flush(), { code: /^(EIO|ENOSPC)$/ });
    mapping.bytes.fill(2);
    assert.throws(() => mapping.flushSync(), { code: /^(EIO|ENOSPC)$/ });
    await turns();
  },
  { lacks, prefix },
);

hazard('memory that has no disk has no such faults', () => {
  const mapping = anonymous(64 * page);
  mapping.bytes.fill(1);
  mapping.check();
});
