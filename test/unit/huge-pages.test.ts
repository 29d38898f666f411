import assert from 'node:assert/strict';
import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { anonymous, map } from 'memmap';
import { kernelMapping, lacksKernel, lacksRoot, mounted, needs } from '../support/machine.ts';
import { temporaryFile } from '../support/temporary.ts';

const mib = 2 ** 20;
const huge = 2 * mib;
const pool = '/proc/sys/vm/nr_hugepages';
const before = readFileSync(pool, 'utf8').trim();
const wanted = 8;

/** Reserves pages of 2 MiB for this test; says why where it cannot. */
function lacksPool(): string | false {
  if (lacksKernel || lacksRoot) return lacksKernel || lacksRoot;
  if (!existsSync('/sys/kernel/mm/hugepages/hugepages-2048kB')) return 'no huge pages of 2 MiB';
  if (Number(before) >= wanted) return false;
  try {
    writeFileSync(pool, String(wanted));
  } catch {
    return 'may not reserve huge pages (vm.nr_hugepages)';
  }
  const got = Number(readFileSync(pool, 'utf8'));
  return got < wanted && `the machine has free memory for ${got} of ${wanted} huge pages only`;
}

const reserved = needs(lacksPool());
after(() => {
  if (readFileSync(pool, 'utf8').trim() !== before) writeFileSync(pool, before);
});
const transparent = '/sys/kernel/mm/transparent_hugepage/enabled';
const lacksTransparent = !existsSync(transparent) && 'this kernel has no transparent huge pages';

test("'transparent' asks for what the kernel can do", needs(lacksKernel, lacksTransparent), () => {
  for (const capacity of [undefined, 8 * mib]) {
    using mapping = anonymous(4 * mib, { hugePages: 'transparent', capacity });
    assert.equal(mapping.address % BigInt(huge), 0n);
    assert.ok(kernelMapping(mapping.address).flags.includes('hg'));
    mapping.bytes.fill(1);
    mapping.resize(8 * mib);
    assert.ok(kernelMapping(mapping.address + BigInt(6 * mib)).flags.includes('hg'));
    assert.ok(mapping.window(0, 4 * mib).every((byte) => byte === 1));
    assert.ok(mapping.window(4 * mib, 4 * mib).every((byte) => byte === 0));
  }
});

test("'2MiB' maps pages of the pool", reserved, () => {
  using mapping = anonymous(2 * huge, { hugePages: '2MiB' });
  assert.equal(mapping.pageSize, huge);
  assert.equal(mapping.address % BigInt(huge), 0n);
  assert.equal(kernelMapping(mapping.address).pageBytes, huge);
  mapping.bytes.fill(7);
  const { pageSize, pages, resident } = mapping.residency();
  assert.deepEqual([pageSize, pages, resident], [huge, 2, 2]);
  assert.throws(() => mapping.protect('read', { length: 4096 }), { hint: /length: 2097152/ });
  mapping.protect('read', { offset: huge });
  assert.throws(() => mapping.write(Buffer.alloc(1), huge), { code: 'ERR_MEMMAP_READ_ONLY' });
  assert.equal(mapping.bytes[2 * huge - 1], 7);
});

test('any length is rounded up to the pages', reserved, () => {
  using mapping = anonymous(5, { hugePages: '2MiB' });
  assert.equal(mapping.byteLength, 5);
  mapping.bytes.write('hello');
  assert.equal(mapping.bytes.toString(), 'hello');
});

test('huge memory is resized with a capacity, and says so without', reserved, () => {
  using mapping = anonymous(huge, { hugePages: '2MiB', capacity: 3 * huge });
  mapping.bytes.fill(3);
  mapping.resize(2 * huge);
  assert.ok(mapping.window(0, huge).every((byte) => byte === 3));
  assert.equal(mapping.window(huge, 1)[0], 0);
  mapping.resize(huge);
  assert.ok(mapping.bytes.every((byte) => byte === 3));
  using fixed = anonymous(huge, { hugePages: '2MiB' });
  const refused = { code: 'ERR_MEMMAP_UNSUPPORTED', hint: /capacity/ };
  assert.throws(() => fixed.resize(2 * huge), refused);
});

test('files of a hugetlbfs', reserved, (t) => {
  const directory = mounted('hugetlbfs', 'pagesize=2M');
  if (!directory) return t.skip('cannot mount a hugetlbfs here');
  const path = join(directory, 'file');
  const options = { access: 'write', create: true, extend: true, length: huge } as const;
  using mapping = map(path, { ...options, hugePages: '2MiB' });
  assert.equal(mapping.pageSize, huge);
  mapping.bytes.fill(5);
  using second = map(path);
  assert.equal(second.pageSize, huge);
  assert.equal(second.bytes[huge - 1], 5);
  mapping.flushSync();
  assert.throws(() => map(path, { hugePages: '1GiB' }), { code: 'EINVAL' });
});

test('a file of huge pages that the pool does not hold', needs(lacksKernel, lacksRoot), (t) => {
  const directory = mounted('hugetlbfs', 'pagesize=2M');
  if (!directory) return t.skip('cannot mount a hugetlbfs here');
  const path = join(directory, 'large');
  writeFileSync(path, '');
  truncateSync(path, 2 ** 40);
  assert.throws(() => map(path), { code: 'ENOMEM', hint: /vm\.nr_hugepages/ });
});

test('a file of another file system has none', () => {
  for (const hugePages of ['2MiB', '1GiB'] as const) {
    assert.throws(() => map(temporaryFile(10), { hugePages }), {
      name: 'MemmapError',
      code: 'EINVAL',
      hint: /hugetlbfs/,
    });
  }
});

test('more than the pool holds says how to reserve', needs(lacksKernel), () => {
  for (const hugePages of ['2MiB', '1GiB'] as const) {
    assert.throws(() => anonymous(2 ** 40, { hugePages }), {
      name: 'MemmapError',
      code: /^(ENOMEM|ENOENT|EINVAL)$/,
      hint: /vm\.nr_hugepages|no huge pages of this size/,
    });
  }
});
