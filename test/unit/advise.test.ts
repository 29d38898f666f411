import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Advice, anonymous, map, pageSize } from 'memmap';
import { kernelMapping, lacksKernel, needs } from '../support/machine.ts';
import { pattern, temporaryFile } from '../support/temporary.ts';

const length = 4 * pageSize;
const kernel = needs(lacksKernel);
const all: Advice[] = [
  'normal',
  'random',
  'sequential',
  'willneed',
  'hugepage',
  'nohugepage',
  'cold',
  'pageout',
  'dontfork',
  'dofork',
  'dontdump',
  'dodump',
  'mergeable',
  'unmergeable',
];
/** What the kernel shows of it in VmFlags (Documentation/filesystems/proc.rst). */
const shown: [Advice, string, Advice][] = [
  ['random', 'rr', 'normal'],
  ['sequential', 'sr', 'random'],
  ['nohugepage', 'nh', 'hugepage'],
  ['dontfork', 'dc', 'dofork'],
  ['dontdump', 'dd', 'dodump'],
];

test('no advice changes a byte', () => {
  const path = temporaryFile(length);
  for (const access of ['read', 'write', 'copy'] as const) {
    using mapping = map(path, { access });
    for (const advice of all) {
      for (const range of [undefined, { offset: 1, length: 1 }, { offset: length }]) {
        try {
          mapping.advise(advice, range);
        } catch (error) {
          // A kernel without KSM or transparent huge pages, or memory of another kind.
          assert.equal((error as { code?: string }).code, 'EINVAL', advice);
          assert.match((error as { hint?: string }).hint ?? '', /does not take this advice/);
        }
        assert.ok(mapping.bytes.equals(pattern(length)));
      }
    }
  }
});

test('private memory keeps its content', () => {
  using mapping = anonymous(length);
  mapping.bytes.set(pattern(length));
  for (const advice of all.filter((name) => !/merg|huge/.test(name))) mapping.advise(advice);
  assert.ok(mapping.bytes.equals(pattern(length)));
});

for (const [advice, flag, opposite] of shown) {
  test(`the kernel is told '${advice}', page by page, and '${opposite}'`, kernel, (t) => {
    using mapping = map(temporaryFile(length));
    const has = (page: number) =>
      kernelMapping(mapping.address + BigInt(page * pageSize)).flags.includes(flag);
    try {
      mapping.advise(advice, { offset: pageSize + 5, length: pageSize });
    } catch {
      return t.skip(`this kernel has no transparent huge pages for '${advice}'`);
    }
    assert.deepEqual([0, 1, 2, 3].map(has), [false, true, true, false]);
    mapping.advise(opposite, { offset: pageSize, length: 1 });
    assert.deepEqual([0, 1, 2, 3].map(has), [false, false, true, false]);
  });
}

test('the first advice is an option', kernel, () => {
  using mapping = map(temporaryFile(length), { advice: 'random' });
  assert.ok(kernelMapping(mapping.address).flags.includes('rr'));
  using memory = anonymous(length, { advice: 'dontdump' });
  assert.ok(kernelMapping(memory.address).flags.includes('dd'));
});

test('advice lasts through a resize that moves', kernel, () => {
  for (const mapping of [anonymous(length), map(temporaryFile(length), { access: 'write' })]) {
    mapping.advise('random', { length: pageSize });
    mapping.resize(2 * length);
    assert.ok(kernelMapping(mapping.address).flags.includes('rr'));
    const second = kernelMapping(mapping.address + BigInt(pageSize));
    assert.ok(!second.flags.includes('rr'));
    mapping.close();
  }
});

test('names that would destroy data are not advice', () => {
  using mapping = anonymous(length);
  for (const name of ['dontneed', 'free', 'remove']) {
    assert.throws(() => mapping.advise(name as never), { code: 'ERR_INVALID_ARG_TYPE' });
  }
});
