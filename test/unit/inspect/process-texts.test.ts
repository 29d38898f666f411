import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  hasCapability,
  mountOf,
  parseLimits,
  parseMeminfo,
  parseMemoryGroup,
  parseMountinfo,
  parseStat,
  parseStatm,
  parseStatus,
  parseSwaps,
  parseVmstat,
} from '#dist/inspect/index.js';
import { fixture } from '../../support/fixture.js';

test('status of Linux 6.18', () => {
  const status = parseStatus(fixture('inspect/status-6.18.txt'));
  assert.equal(status.name, 'two\nlines (x)');
  assert.equal(status.pid, 4711);
  assert.equal(status.state, 'S');
  assert.deepEqual(status.users, [1000, 1001, 1002, 1003]);
  assert.equal(status.residentShared, 1000 * 1024);
  assert.equal(status.hugetlb, 2048 * 1024);
  assert.equal(status.threads, 11);
  assert.ok(status.capabilities !== undefined);
  assert.equal(hasCapability(status.capabilities, 'CAP_IPC_LOCK'), true);
  assert.equal(hasCapability(status.capabilities, 'CAP_SYS_RESOURCE'), false);
});

test('status of a zombie on Linux 3.2 has no memory, which is not 0', () => {
  const status = parseStatus(fixture('inspect/status-3.2-zombie.txt'));
  assert.equal(status.state, 'Z');
  assert.equal(status.resident, undefined);
  assert.equal(status.locked, undefined);
});

test('stat: the name may hold anything', () => {
  const rest =
    'S 1 4242 4242 0 -1 4194560 310 21 7 3 5 6 0 0 20 0 4 0 96365 104857600 2500 ' +
    '18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0';
  const anything = fc.stringMatching(/^[^\0]{0,15}$/);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4194304 }), anything, (pid, name) => {
      const stat = parseStat(`${pid} (${name}) ${rest}\n`);
      assert.equal(stat?.pid, pid);
      assert.equal(stat?.name, name);
      assert.equal(stat?.minorFaults, 310);
      assert.equal(stat?.childrenMinorFaults, 21);
      assert.equal(stat?.majorFaults, 7);
      assert.equal(stat?.childrenMajorFaults, 3);
      assert.equal(stat?.threads, 4);
      assert.equal(stat?.startTicks, 96365n);
      assert.equal(stat?.residentPages, 2500);
    }),
  );
  assert.equal(parseStat(''), null);
  assert.equal(parseStat('1 (x) S'), null);
});

test('statm', () => {
  assert.deepEqual(parseStatm('765 446 430 5 0 90 0\n'), {
    virtual: 765,
    resident: 446,
    shared: 430,
    code: 5,
    data: 90,
  });
  assert.equal(parseStatm(''), null);
});

test('limits of Linux 5.10', () => {
  const limits = parseLimits(fixture('inspect/limits-5.10.txt'));
  assert.equal(Object.keys(limits).length, 16);
  assert.deepEqual(limits.RLIMIT_MEMLOCK, { soft: 65536, hard: 65536, unit: 'bytes' });
  assert.deepEqual(limits.RLIMIT_AS, { soft: 2 ** 30, hard: Infinity, unit: 'bytes' });
  assert.deepEqual(limits.RLIMIT_NICE, { soft: 0, hard: 0, unit: '' });
  assert.deepEqual(parseLimits(''), {});
});

test('limits are read back', () => {
  const amount = fc.oneof(fc.constant(Infinity), fc.nat());
  const say = (value: number) => (value === Infinity ? 'unlimited' : String(value)).padEnd(20);
  fc.assert(
    fc.property(amount, amount, (soft, hard) => {
      const line = `${'Max locked memory'.padEnd(25)} ${say(soft)} ${say(hard)} bytes     \n`;
      assert.deepEqual(parseLimits(line).RLIMIT_MEMLOCK, { soft, hard, unit: 'bytes' });
    }),
  );
});

test('meminfo of arm64 with pages of 64 KiB: counts are no bytes', () => {
  const info = parseMeminfo(fixture('inspect/meminfo-5.10-arm64-64k.txt'));
  assert.equal(info.Hugepagesize, 512 * 1024 * 1024);
  assert.equal(info.HugePages_Free, 3);
  assert.equal(info['Active(file)'], 400000 * 1024);
  assert.equal(info.Zswap, undefined);
});

test('vmstat', () => {
  const statistics = parseVmstat('nr_dirty 12\npgfault 4000000000\nworkingset_x -1\n');
  assert.deepEqual(statistics, { nr_dirty: 12, pgfault: 4e9, workingset_x: -1 });
});

test('mountinfo: spaces and backslashes are escaped, optional fields vary', () => {
  const mounts = parseMountinfo(fixture('inspect/mountinfo-5.15.txt'));
  assert.equal(mounts.length, 5);
  assert.equal(mounts[3]?.point, '/mnt/my disk\\x');
  assert.equal(mounts[3]?.root, '/sub dir');
  assert.deepEqual(mounts[3]?.superOptions, ['rw', 'dax=always']);
  assert.equal(mounts[4]?.type, 'fuse.sshfs');
  assert.equal(mounts[4]?.source, 'user@host:/a b');
  assert.deepEqual(mounts[1]?.device, { major: 254, minor: 0 });
});

test('a path lies in the deepest mount above it', () => {
  const mounts = parseMountinfo(fixture('inspect/mountinfo-5.15.txt'));
  const typeOf = (path: string) => mountOf(mounts, path)?.type;
  assert.equal(typeOf('/mnt/my disk\\x/inner/file'), 'fuse.sshfs');
  assert.equal(typeOf('/mnt/my disk\\x/innermost'), 'xfs');
  assert.equal(typeOf('/dev/shm'), 'tmpfs');
  assert.equal(typeOf('/dev/shmoo'), 'ext4');
  assert.equal(mountOf([], '/x'), null);
});

test('control groups of both versions', () => {
  assert.deepEqual(parseMemoryGroup('0::/user.slice/a:b\n'), {
    version: 2,
    path: '/user.slice/a:b',
  });
  const hybrid = '4:cpu,memory:/docker/abc\n0::/x\n';
  assert.deepEqual(parseMemoryGroup(hybrid), { version: 1, path: '/docker/abc' });
  assert.equal(parseMemoryGroup('3:cpuset:/\n'), null);
});

test('swaps: files, partitions, and zram, which is memory', () => {
  const swaps = parseSwaps(
    'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n' +
      '/my\\040swap                              file\t\t1048572\t\t12\t\t-2\n' +
      '/dev/zram0                              partition\t2097148\t\t0\t\t100\n',
  );
  assert.deepEqual(
    swaps.map(({ path, used, priority, isMemory }) => [path, used, priority, isMemory]),
    [
      ['/my swap', 12 * 1024, -2, false],
      ['/dev/zram0', 0, 100, true],
    ],
  );
});
