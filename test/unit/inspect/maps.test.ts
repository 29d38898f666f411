import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { gapsBetween, type MapKind, parseMapLine, parseMaps } from '#dist/inspect/index.js';
import { fixture } from '../../support/fixture.js';

const hex = (value: bigint, digits = 0) => value.toString(16).padStart(digits, '0');

describe('maps of Linux 6.18 on x86-64', () => {
  const entries = parseMaps(fixture('inspect/maps-6.18-x64.txt'));
  const named = (name: string | null) => entries.find((entry) => entry.name === name);

  test('every line is a mapping', () => {
    assert.equal(entries.length, 24);
  });

  test('addresses, rights, offset, device, inode', () => {
    assert.deepEqual(named('/srv/data/a file with spaces.bin'), {
      start: 0x7f5fc4a00000n,
      end: 0x7f5fc4c00000n,
      length: 0x200000,
      permissions: 'rw-s',
      readable: true,
      writable: true,
      executable: false,
      shared: true,
      offset: 0x1000n,
      device: { major: 0xfe, minor: 0 },
      inode: 2146403n,
      name: '/srv/data/a file with spaces.bin',
      deleted: false,
      kind: 'file',
    });
  });

  const kinds: [string, MapKind, boolean][] = [
    ['/usr/bin/cat', 'file', false],
    ['[heap]', 'heap', false],
    ['/anon_hugepage', 'hugetlb', true],
    ['/srv/two\nlines', 'deleted file', true],
    ['/memfd:memmap', 'memfd', true],
    ['/SYSV0000abcd', 'shared memory', true],
    ['/dev/shm/segment', 'shared memory', false],
    ['/secretmem', 'secret', true],
    ['[anon:v8 heap]', 'anonymous', false],
    ['[anon_shmem:cache]', 'shared anonymous', false],
    ['anon_inode:[io_uring]', 'other', false],
    ['/dev/dri/card0', 'device', false],
    ['[stack]', 'stack', false],
    ['[vvar_vclock]', 'kernel', false],
    ['[vsyscall]', 'kernel', false],
  ];
  for (const [name, kind, deleted] of kinds) {
    test(`${JSON.stringify(name)} is of kind ${kind}${deleted ? ', its name gone' : ''}`, () => {
      assert.equal(named(name)?.kind, kind);
      assert.equal(named(name)?.deleted, deleted);
    });
  }

  test('/dev/zero is shared anonymous memory when its name is gone, else a device mapped', () => {
    const zeros = entries.filter((entry) => entry.name === '/dev/zero');
    assert.deepEqual(
      zeros.map((entry) => entry.kind),
      ['shared anonymous', 'anonymous'],
    );
  });

  test('" (deleted)" counts only at the end', () => {
    assert.equal(named('/srv/named (deleted) in the middle')?.kind, 'file');
  });

  test('a backslash is no escape', () => {
    assert.ok(named('/srv/back\\slash\\134'));
  });

  test('a mapping without rights or name is a reserve', () => {
    assert.equal(entries.find((entry) => entry.name === null)?.kind, 'reserve');
  });

  test('the vsyscall page of the upper half keeps its address', () => {
    assert.equal(named('[vsyscall]')?.start, 0xffffffffff600000n);
  });
});

test('maps of Linux 4.4 on 32-bit Android', () => {
  const entries = parseMaps(fixture('inspect/maps-4.4-arm-android.txt'));
  assert.deepEqual(
    entries.map((entry) => entry.kind),
    ['shared memory', 'file', 'anonymous', 'stack', 'anonymous', 'file', 'stack', 'kernel'],
  );
  assert.equal(entries[0]?.name, '/dev/ashmem/dalvik-main space');
  assert.equal(entries[5]?.device.major, 0xb3);
});

test('maps with five levels: addresses beyond 2^47, device numbers beyond 255', () => {
  const entries = parseMaps(fixture('inspect/maps-5level-x64.txt'));
  assert.equal(entries.length, 5);
  assert.equal(entries[0]?.device.major, 0x103);
  assert.equal(entries[2]?.start, 0xff800000000000n);
  assert.equal(entries[2]?.length, 0x40000000);
});

test('gaps lie between mappings', () => {
  const [first, second] = parseMaps(fixture('inspect/maps-5level-x64.txt'));
  assert.ok(first && second);
  assert.deepEqual(gapsBetween([first, second]), [
    { start: first.end, end: second.start, length: second.start - first.end },
  ]);
});

test('what is no mapping is passed over', () => {
  assert.equal(parseMapLine('Rss:   12 kB'), null);
  assert.deepEqual(parseMaps('\nnonsense\n'), []);
  assert.deepEqual(parseMaps(''), []);
});

test('what the kernel would write is read back', () => {
  const address = fc.bigInt({ min: 0n, max: 2n ** 64n - 2n ** 32n });
  const segment = fc.stringMatching(/^[^\0/]{1,12}$/);
  fc.assert(
    fc.property(
      fc.record({
        start: address,
        size: fc.integer({ min: 1, max: 2 ** 31 }),
        permissions: fc.stringMatching(/^[r-][w-][x-][ps]$/),
        offset: address,
        major: fc.integer({ min: 0, max: 4095 }),
        minor: fc.integer({ min: 0, max: 2 ** 20 - 1 }),
        inode: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
        path: fc
          .array(segment, { minLength: 1, maxLength: 3 })
          .map((parts) => `/${parts.join('/')}`),
        deleted: fc.boolean(),
      }),
      ({ start, size, permissions, offset, major, minor, inode, path, deleted }) => {
        // Those that say something else: a name that ends like a deleted one, and octal text that
        // the kernel does not tell from its own escape.
        fc.pre(!path.endsWith(' (deleted)') && !path.includes('\\012'));
        const end = start + BigInt(size);
        const escaped = path.replaceAll('\n', '\\012');
        const line =
          `${hex(start, 8)}-${hex(end, 8)} ${permissions} ${hex(offset, 8)} ` +
          `${major.toString(16).padStart(2, '0')}:${minor.toString(16).padStart(2, '0')} ${inode} ` +
          `                    ${escaped}${deleted ? ' (deleted)' : ''}`;
        const entry = parseMapLine(line);
        assert.ok(entry, line);
        assert.equal(entry.start, start);
        assert.equal(entry.end, end);
        assert.equal(entry.length, size);
        assert.equal(entry.permissions, permissions);
        assert.equal(entry.offset, offset);
        assert.deepEqual(entry.device, { major, minor });
        assert.equal(entry.inode, inode);
        assert.equal(entry.name, path);
        assert.equal(entry.deleted, deleted);
      },
    ),
  );
});
