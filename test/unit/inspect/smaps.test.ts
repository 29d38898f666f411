import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  accountOf,
  addAccounts,
  groupMaps,
  parseSmaps,
  parseSmapsRollup,
  type SmapsEntry,
  vmFlags,
} from '#dist/inspect/index.js';
import { fixture } from '../../support/fixture.js';

const kib = 1024;
const mib = 1024 * kib;

describe('smaps of Linux 6.18', () => {
  const [file, huge, locked, anonymous] = parseSmaps(fixture('inspect/smaps-6.18-x64.txt')) as [
    SmapsEntry,
    SmapsEntry,
    SmapsEntry,
    SmapsEntry,
  ];

  test('quantities are bytes', () => {
    assert.equal(file.rss, 1024 * kib);
    assert.equal(file.pss, 512 * kib);
    assert.equal(file.kernelPageSize, 4 * kib);
    assert.equal(file.hugeEligible, false);
    assert.deepEqual(file.flags, ['rd', 'wr', 'sh', 'mr', 'mw', 'me', 'ms']);
    assert.equal(file.protectionKey, undefined);
    assert.equal(huge.protectionKey, 3);
  });

  test('every flag has words', () => {
    for (const entry of [file, huge, locked, anonymous]) {
      for (const flag of entry.flags ?? []) assert.ok(vmFlags[flag], flag);
    }
  });

  test('pages of the huge pool are resident and private although Rss is 0', () => {
    assert.equal(huge.rss, 0);
    const account = accountOf(huge);
    assert.equal(account.resident, 2 * mib);
    assert.equal(account.private, 2 * mib);
    assert.equal(account.huge, 2 * mib);
  });

  test('locked is what is locked, not the share of it', () => {
    assert.equal(locked.lockedShare, 512 * kib);
    assert.equal(accountOf(locked).locked, 1 * mib);
    assert.equal(accountOf(locked).freeable, 0);
  });

  test('shared says who maps it, not MAP_SHARED', () => {
    assert.equal(file.shared, true);
    assert.equal(accountOf(file).private, 16 * kib);
    assert.equal(accountOf(file).shared, 1008 * kib);
  });

  test('clean pages of files can leave, dirty ones are written, anonymous ones need swap', () => {
    const account = accountOf(file);
    assert.equal(account.needsWriteBack, 12 * kib);
    assert.equal(account.freeable, 1012 * kib);
    assert.equal(account.needsSwap, 0);
    assert.equal(accountOf(anonymous).needsSwap, 3 * mib);
    assert.equal(accountOf(anonymous).freeable, 0);
    assert.equal(accountOf(anonymous).huge, 2 * mib);
  });

  test('sums add up, and what one does not know the sum does not know', () => {
    const total = addAccounts([file, huge, locked, anonymous].map(accountOf));
    assert.equal(total.maps, 4);
    assert.equal(total.resident, 8 * mib);
    const { swap: _, ...lacking } = anonymous;
    const partial = addAccounts([accountOf(file), accountOf(lacking as SmapsEntry)]);
    assert.equal(partial.swap, null);
    assert.equal(partial.resident, 5 * mib);
    assert.equal(addAccounts([]).resident, 0);
  });

  test('groups by kind, the largest first', () => {
    const groups = groupMaps([file, huge, locked, anonymous], 'kind');
    assert.deepEqual(
      groups.map(({ name, maps, resident }) => [name, maps, resident]),
      [
        ['anonymous', 1, 4 * mib],
        ['hugetlb', 1, 2 * mib],
        ['file', 2, 2 * mib],
      ],
    );
    const byFile = groupMaps([file, huge, locked, anonymous], 'file').map(({ name }) => name);
    assert.ok(byFile.includes('(anonymous)'));
    assert.ok(byFile.includes('/anon_hugepage (deleted)'));
  });
});

test('smaps of Linux 3.10: what it does not tell is absent, and unknown in sums', () => {
  const [code, stack] = parseSmaps(fixture('inspect/smaps-3.10.txt')) as [SmapsEntry, SmapsEntry];
  assert.equal(code.rss, 460 * kib);
  assert.equal(code.swapPss, undefined);
  assert.equal(code.hugeEligible, undefined);
  assert.equal(code.privateHugetlb, undefined);
  assert.equal(accountOf(code).resident, 460 * kib);
  assert.equal(accountOf(stack).needsSwap, 16 * kib);
});

test('a mapping of the huge pool on a kernel that does not count it is unknown, not 0', () => {
  const [, huge] = parseSmaps(fixture('inspect/smaps-6.18-x64.txt')) as [SmapsEntry, SmapsEntry];
  const { sharedHugetlb: _, privateHugetlb: __, ...old } = huge;
  assert.equal(accountOf(old).resident, null);
  assert.equal(accountOf(old).private, null);
});

test('smaps without VmFlags: locked is unknown', () => {
  const text = fixture('inspect/smaps-3.10.txt').replaceAll(/^VmFlags.*\n/gm, '');
  const [code] = parseSmaps(text) as [SmapsEntry];
  assert.equal(code.flags, undefined);
  assert.equal(accountOf(code).locked, null);
});

test("Android's names of anonymous memory stand on a line of their own", () => {
  const [entry] = parseSmaps(fixture('inspect/smaps-4.9-arm64-android.txt')) as [SmapsEntry];
  assert.equal(entry.name, '[anon:libc_malloc]');
  assert.equal(entry.kind, 'anonymous');
  assert.equal(entry.swap, 64 * kib);
});

test('smaps_rollup of Linux 5.4', () => {
  const rollup = parseSmapsRollup(fixture('inspect/smaps_rollup-5.4.txt'));
  assert.equal(rollup.rss, 3456 * kib);
  assert.equal(rollup.pssAnon, 300 * kib);
  assert.equal(rollup.swapPss, 4 * kib);
  assert.equal(rollup.pssDirty, undefined);
});

test('flags and quantities say more than names', () => {
  const kindOf = (name: string, permissions: string, rest: string) =>
    parseSmaps(`7f00000000-7f00200000 ${permissions} 00000000 00:0f 5 ${name}\n${rest}`)[0]?.kind;
  assert.equal(kindOf('/mnt/huge/file', 'rw-s', 'VmFlags: rd wr ht\n'), 'hugetlb');
  assert.equal(kindOf('/memfd:x (deleted)', 'rw-s', 'VmFlags: rd wr sh ht\n'), 'hugetlb');
  assert.equal(kindOf('', '---p', 'Rss: 0 kB\n'), 'reserve');
  assert.equal(kindOf('', '---p', 'Rss: 8 kB\n'), 'anonymous');
  assert.equal(kindOf('', 'rw-p', 'VmFlags: rd wr ss\n'), 'stack');
});
