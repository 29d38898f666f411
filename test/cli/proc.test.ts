import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  areasOf,
  hasCapability,
  parseChoice,
  parseFields,
  parseLimit,
  parseSmaps,
  sumOf,
} from '#dist/cli/tour/proc.js';

const smaps = `7fd8afe00000-7fd8b7e00000 rw-p 00000000 00:00 0 
Size:             131072 kB
Rss:              102400 kB
Locked:                4 kB
VmFlags: rd wr mr mw me ac hg 
7fd8b8000000-7fd8b8001000 r--s 00000000 fe:00 123456                     /tmp/a b: c
Size:                  4 kB
Rss:                   4 kB
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
Rss:                   0 kB
`;

test('smaps: areas, their rights and their fields', () => {
  const areas = parseSmaps(smaps);
  assert.deepEqual(
    areas.map(({ permissions }) => permissions),
    ['rw-p', 'r--s', '--xp'],
  );
  assert.equal(areas[0]?.fields.get('Rss'), 100 * 2 ** 20);
  assert.equal(areas[2]?.end, 0xffffffffff601000n);
  assert.deepEqual(parseSmaps(''), []);
});

test('smaps: what overlaps a mapping', () => {
  const areas = parseSmaps(smaps);
  const count = (address: bigint, length: number) => areasOf(areas, address, length).length;
  assert.equal(count(0x7fd8afe00000n, 1), 1);
  assert.equal(count(0x7fd8b7dfffffn, 1), 1);
  assert.equal(count(0x7fd8b7e00000n, 1), 0);
  assert.equal(count(0x7fd8afe00000n, 0), 0);
  assert.equal(count(0x7fd8b7dfffffn, 2 ** 30), 2);
  assert.equal(sumOf(areas, 'Rss'), 100 * 2 ** 20 + 4096);
  assert.equal(sumOf(areas, 'No such field'), 0);
});

test('fields: amounts in bytes, counts as they are, words left out', () => {
  const fields = parseFields('Name:\tnode\nVmRSS:\t    12 kB\nHugePages_Total:       7\n');
  assert.deepEqual(
    [...fields],
    [
      ['VmRSS', 12 * 1024],
      ['HugePages_Total', 7],
    ],
  );
});

test('limits: the soft one', () => {
  const text = `Limit                     Soft Limit           Hard Limit           Units     
Max locked memory         8388608              16777216             bytes     
Max address space         unlimited            unlimited            bytes     
`;
  assert.equal(parseLimit(text, 'Max locked memory'), 8388608);
  assert.equal(parseLimit(text, 'Max address space'), Number.POSITIVE_INFINITY);
  assert.equal(parseLimit(text, 'Max realtime'), undefined);
});

test('capabilities and choices', () => {
  assert.equal(hasCapability('CapEff:\t0000000000004000\n', 14), true);
  assert.equal(hasCapability('CapEff:\t0000000000000000\n', 14), false);
  assert.equal(hasCapability('', 14), false);
  assert.equal(parseChoice('always [madvise] never\n'), 'madvise');
  assert.equal(parseChoice(''), null);
});
