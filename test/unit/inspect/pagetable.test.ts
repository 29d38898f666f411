import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  addressBits,
  addressHalf,
  decodePageEntry,
  decodePageFlags,
  encodePageEntry,
  type PageTableShape,
  pageTableShape,
  walk,
} from '#dist/inspect/index.js';
import { fixture } from '../../support/fixture.js';

const kib = 1024;
const mib = 1024 * kib;
const shapeOf = (pageBytes: number, bits: number) =>
  pageTableShape(pageBytes, bits) as PageTableShape;
const steps = (shape: PageTableShape, address: bigint, pageBytes = shape.pageBytes) =>
  walk(shape, address, pageBytes).indexes.map(({ name, index }) => `${name}[${index}]`);

describe('the way of an address through the tables', () => {
  const x64 = shapeOf(4 * kib, 48);

  test('four levels of x86-64', () => {
    const walked = ['PGD[255]', 'PUD[211]', 'PMD[485]', 'PTE[0]'];
    assert.deepEqual(steps(x64, 0x7fb4fca00000n), walked);
    assert.equal(walk(x64, 0x7fb4fca00abcn, 4 * kib).offset, 0xabc);
  });

  test('a huge page ends it at the PMD, one of 1 GiB at the PUD', () => {
    const huge = walk(x64, 0x7fb4fca12345n, 2 * mib);
    assert.equal(huge.leaf, 'PMD');
    assert.equal(huge.offset, 0x12345);
    assert.deepEqual(steps(x64, 0x7fb4fca12345n, 2 * mib), ['PGD[255]', 'PUD[211]', 'PMD[485]']);
    assert.equal(walk(x64, 0x7fb4fca12345n, 1024 * mib).leaf, 'PUD');
  });

  test('five levels of x86-64', () => {
    const la57 = shapeOf(4 * kib, 57);
    assert.deepEqual(steps(la57, 0xff800000000000n), [
      'PGD[255]',
      'P4D[256]',
      'PUD[0]',
      'PMD[0]',
      'PTE[0]',
    ]);
    // The lower half looks the same below the top.
    assert.deepEqual(steps(la57, 0x7fb4fca00000n).slice(1), [
      'P4D[255]',
      'PUD[211]',
      'PMD[485]',
      'PTE[0]',
    ]);
  });

  const shapes: [string, number, number, string, number][] = [
    ['arm64, 4 KiB, 39 bits', 4 * kib, 39, 'PGD PMD PTE', 9],
    ['arm64, 4 KiB, 48 bits', 4 * kib, 48, 'PGD PUD PMD PTE', 9],
    ['arm64, 16 KiB, 47 bits', 16 * kib, 47, 'PGD PMD PTE', 11],
    ['arm64, 16 KiB, 48 bits', 16 * kib, 48, 'PGD PUD PMD PTE', 1],
    ['arm64, 64 KiB, 42 bits', 64 * kib, 42, 'PGD PTE', 13],
    ['arm64, 64 KiB, 48 bits', 64 * kib, 48, 'PGD PMD PTE', 6],
    ['arm64, 64 KiB, 52 bits', 64 * kib, 52, 'PGD PMD PTE', 10],
    ['riscv64, sv39', 4 * kib, 39, 'PGD PMD PTE', 9],
    ['riscv64, sv57', 4 * kib, 57, 'PGD P4D PUD PMD PTE', 9],
  ];
  for (const [name, pageBytes, bits, levels, topBits] of shapes) {
    test(`${name}: ${levels}`, () => {
      const shape = shapeOf(pageBytes, bits);
      assert.equal(shape.levels.map((level) => level.name).join(' '), levels);
      assert.equal(shape.levels[0]?.bits, topBits);
    });
  }

  test('a page between two levels belongs to the lower one', () => {
    assert.equal(walk(x64, 0n, 64 * kib).leaf, 'PTE');
    assert.equal(walk(x64, 0n, 32 * mib).leaf, 'PMD');
  });

  test('no Linux has one table, or six', () => {
    assert.equal(pageTableShape(4 * kib, 20), null);
    assert.equal(pageTableShape(4 * kib, 64), null);
    assert.equal(pageTableShape(5000, 48), null);
  });

  test('indexes and offset put together are the address again', () => {
    const shape = fc.constantFrom(x64, ...shapes.map(([, page, bits]) => shapeOf(page, bits)));
    fc.assert(
      fc.property(shape, fc.bigInt({ min: 0n, max: 2n ** 57n - 1n }), fc.nat(2), (s, raw, up) => {
        const address = raw % (1n << BigInt(s.addressBits));
        const leaf = s.levels[Math.max(0, s.levels.length - 1 - up)];
        const walked = walk(s, address, 2 ** (leaf?.shift ?? 0));
        const sum = walked.indexes.reduce(
          (total, { index, shift }) => total + (BigInt(index) << BigInt(shift)),
          BigInt(walked.offset),
        );
        assert.equal(sum, address);
        assert.equal(walked.leaf, leaf?.name);
      }),
    );
  });
});

describe('how many bits are translated', () => {
  const bits = (architecture: string, cpuinfo: string | null, highestAddress: bigint) =>
    addressBits({ architecture, cpuinfo, highestAddress });

  test('"57 bits virtual" without the flag la57 are four levels', () => {
    assert.equal(bits('x64', fixture('inspect/cpuinfo-x64-la57-off.txt'), 0x7fffffffffffn), 48);
  });
  test('the flag la57, or an address beyond 2^47, are five', () => {
    const on = fixture('inspect/cpuinfo-x64-la57-off.txt').replace('rdtscp', 'rdtscp la57');
    assert.equal(bits('x64', on, 0x7fffffffffffn), 57);
    assert.equal(bits('x64', null, 0xff800000000000n), 57);
  });
  test('arm64 by the highest address, riscv64 by what cpuinfo says', () => {
    assert.equal(bits('arm64', '', 0x7ffffff000n), 39);
    assert.equal(bits('arm64', '', 0xfffff7ffe000n), 48);
    assert.equal(bits('riscv64', fixture('inspect/cpuinfo-riscv64-sv48.txt'), 0n), 48);
    assert.equal(bits('riscv64', null, 0n), null);
    assert.equal(bits('s390x', '', 0x7fffn), null);
  });
});

describe('whose half an address is in', () => {
  const halves: [string, number, bigint, 'program' | 'kernel' | null][] = [
    ['x64', 48, 0n, 'program'],
    ['x64', 48, 0x7fffffffffffn, 'program'],
    ['x64', 48, 0x800000000000n, null],
    ['x64', 48, 1n << 60n, null],
    ['x64', 48, 1n << 63n, null],
    ['x64', 48, 0xffff7fffffffffffn, null],
    ['x64', 48, 0xffff800000000000n, 'kernel'],
    ['x64', 57, 0x800000000000n, 'program'],
    ['x64', 57, 0x100000000000000n, null],
    ['arm64', 48, 0xfffff7ffe000n, 'program'],
    ['arm64', 48, 0x1000000000000n, null],
    ['arm64', 48, 0xffff000000000000n, 'kernel'],
    ['riscv64', 39, 0x3fffffffffn, 'program'],
    ['riscv64', 39, 0x4000000000n, null],
    ['riscv64', 39, 0xffffffc000000000n, 'kernel'],
  ];
  for (const [architecture, bits, address, half] of halves) {
    test(`${architecture}, ${bits} bits, 0x${address.toString(16)}: ${half ?? 'none'}`, () => {
      assert.equal(addressHalf(address, architecture, bits), half);
    });
  }
});

describe('entries of pagemap', () => {
  test('a page in memory, its frame shown or hidden', () => {
    const shown = decodePageEntry(0x8000000000209a00n);
    assert.equal(shown.present, true);
    assert.equal(shown.frame, 0x209a00n);
    const hidden = decodePageEntry(0x8100000000000000n);
    assert.equal(hidden.present, true);
    assert.equal(hidden.exclusive, true);
    assert.equal(hidden.frame, null);
  });
  test('a page in swap', () => {
    const entry = decodePageEntry(0x4000000000000020n);
    assert.equal(entry.swapped, true);
    assert.deepEqual(entry.swap, { device: 0, offset: 1n });
    assert.equal(entry.frame, null);
  });
  test('a guard page is marked as swapped and is not', () => {
    const entry = decodePageEntry((1n << 62n) | (1n << 58n));
    assert.equal(entry.guard, true);
    assert.equal(entry.swapped, false);
    assert.equal(entry.swap, null);
  });
  test('what is watched and was never touched is marked as swapped and is not', () => {
    for (const raw of [0x420000000000003fn, 0x4200000000000000n]) {
      const entry = decodePageEntry(raw);
      assert.deepEqual([entry.watched, entry.swapped, entry.swap], [true, false, null]);
    }
    const out = decodePageEntry(0x4200000000000020n);
    assert.deepEqual([out.watched, out.swapped, out.swap], [true, true, { device: 0, offset: 1n }]);
  });
  test('what is put together is taken apart', () => {
    fc.assert(
      fc.property(
        fc.record({
          present: fc.boolean(),
          file: fc.boolean(),
          exclusive: fc.boolean(),
          softDirty: fc.boolean(),
          watched: fc.boolean(),
          guard: fc.boolean(),
        }),
        fc.bigInt({ min: 1n, max: 2n ** 50n - 1n }),
        fc.nat(30), // the last of the 32 is no device
        (flags, place, device) => {
          const { present, guard } = flags;
          const swapped = !present && !guard;
          const entry = {
            ...flags,
            guard: guard && !present,
            swapped,
            frame: present ? place : null,
            swap: swapped ? { device, offset: place } : null,
          };
          const raw = encodePageEntry(entry);
          assert.deepEqual(decodePageEntry(raw), { ...entry, raw });
        },
      ),
    );
  });
});

test('flags of frames have names and words', () => {
  const raw = (1n << 3n) | (1n << 12n) | (1n << 22n) | (1n << 63n);
  assert.deepEqual(
    decodePageFlags(raw).map((flag) => flag.name),
    ['UPTODATE', 'ANON', 'THP', 'BIT_63'],
  );
  assert.deepEqual(decodePageFlags(0n), []);
});
