/**
 * Many faults in one mapping: vm.max_map_count is not met, and the loop is not slow.
 */
import assert from 'node:assert/strict';
import { closeSync, openSync, truncateSync } from 'node:fs';
import { anonymous, type FaultCode, type Mapping, map, pageSize } from 'memmap';
import { countMappings, pendingFault } from '../support/fault.ts';
import { hazard } from '../support/hazard.ts';
import { temporaryPath } from '../support/temporary.ts';

const page = pageSize;
const gib = 1 << 30;

function sparseFile(size: number): string {
  const path = temporaryPath('sparse');
  closeSync(openSync(path, 'w'));
  truncateSync(path, size);
  return path;
}

/** Every second page, in that order. */
const orders: Record<string, (pages: number) => Iterable<number>> = {
  forwards: function* (pages) {
    for (let at = 0; at < pages; at += 2) yield at;
  },
  backwards: function* (pages) {
    for (let at = pages - 1; at > 0; at -= 2) yield at;
  },
  'in random order': function* (pages) {
    // A full cycle: the multiplier is 1 modulo 4 and the increment odd (Knuth 3.2.1.2).
    let state = 12345;
    for (let i = 0; i < pages / 2; i++) {
      state = (state * 1103515 + 12347) % (pages / 2);
      yield 2 * state;
    }
  },
};

interface Kind {
  code: FaultCode;
  size: number;
  make(size: number): Mapping;
}
const kinds: Record<string, Kind> = {
  'a read-only file': {
    code: 'ERR_MEMMAP_READ_ONLY',
    size: gib,
    make: (size) => map(sparseFile(size)),
  },
  'private anonymous memory, read-only': {
    code: 'ERR_MEMMAP_READ_ONLY',
    size: gib / 4, // its pages are copied
    make: (size) => {
      const mapping = anonymous(size);
      mapping.protect('read');
      return mapping;
    },
  },
  'private anonymous memory, no access': {
    code: 'ERR_MEMMAP_NO_ACCESS',
    size: gib,
    make: (size) => anonymous(size, { access: 'none' }),
  },
};

for (const [what, { code, size, make }] of Object.entries(kinds)) {
  for (const [how, order] of Object.entries(orders)) {
    hazard(
      `${what} of ${size >> 20} MiB, every second page stored into ${how}`,
      () => {
        const mapping = make(size);
        const pages = size / page;
        const { bytes } = mapping;
        const before = countMappings();
        for (const index of order(pages)) bytes[index * page] = 1;
        const during = countMappings();
        // Patches are at most 64, and each adds at most a stash and two neighbours.
        assert.ok(during < before + 250, `${before} mappings became ${during}`);
        const { count } = pendingFault(mapping, code);
        // Runs double, so that their number grows with the logarithm of the pages.
        assert.ok(count <= 4 * Math.log2(pages), `${count} faults`);
        // The kernel does not join private memory that was written in several pieces.
        assert.ok(countMappings() < before + 64, `${before} became ${countMappings()} after`);
        if (code === 'ERR_MEMMAP_READ_ONLY') assert.equal(bytes.indexOf(1), -1);
        mapping.check();
      },
      { timeoutMs: 180_000 },
    );
  }
}

hazard('protections that alternate by page: each run is patched on its own', () => {
  const mapping = anonymous(512 * page);
  mapping.bytes.fill(3);
  for (let at = 0; at < 512; at += 2) {
    mapping.protect(at % 4 === 0 ? 'read' : 'none', { offset: at * page, length: page });
  }
  for (let round = 0; round < 3; round++) {
    for (let at = 0; at < 512; at++) mapping.bytes[at * page + round] = 4;
    let codes: string[] = [];
    try {
      mapping.check();
    } catch (error) {
      const fault = error as { code: string; others: { code: string }[] };
      codes = [fault.code, ...fault.others.map((other) => other.code)].sort();
    }
    assert.deepEqual(codes, ['ERR_MEMMAP_NO_ACCESS', 'ERR_MEMMAP_READ_ONLY']);
    for (let at = 1; at < 512; at += 2) assert.equal(mapping.bytes[at * page + round], 4);
  }
  mapping.protect('write');
  for (let at = 0; at < 512; at++) {
    for (let round = 0; round < 4; round++) {
      const expected = at % 2 === 1 && round < 3 ? 4 : 3;
      assert.equal(mapping.bytes[at * page + round], expected, `page ${at}, byte ${round}`);
    }
  }
});
