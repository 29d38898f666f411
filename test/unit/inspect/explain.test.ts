import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explain, explanations } from '#dist/inspect/index.js';

/** Of the manual pages; what each call can answer. */
const manual: Record<string, string[]> = {
  mmap: 'EACCES EAGAIN EBADF EEXIST EINVAL ENFILE ENODEV ENOMEM EOVERFLOW EPERM ETXTBSY'.split(' '),
  munmap: ['EINVAL', 'ENOMEM'],
  msync: ['EBUSY', 'EINVAL', 'ENOMEM'],
  mlock: ['EAGAIN', 'EINVAL', 'ENOMEM', 'EPERM'],
  mlock2: ['EAGAIN', 'EINVAL', 'ENOMEM', 'EPERM'],
  munlock: ['EAGAIN', 'EINVAL', 'ENOMEM'],
  mlockall: ['EINVAL', 'ENOMEM', 'EPERM'],
  munlockall: ['EPERM'],
  mprotect: ['EACCES', 'EINVAL', 'ENOMEM'],
  madvise: 'EACCES EAGAIN EBADF EBUSY EFAULT EHWPOISON EINVAL EIO ENOMEM EPERM'.split(' '),
  process_madvise: 'EBADF EFAULT EINVAL ENOMEM EPERM ESRCH'.split(' '),
  mincore: ['EAGAIN', 'EFAULT', 'EINVAL', 'ENOMEM'],
};

for (const [call, terms] of Object.entries(manual)) {
  test(`every error of ${call} has a cause and a cure`, () => {
    for (const term of terms) {
      const [explanation, ...others] = explain(term, call);
      assert.ok(explanation, `${term} of ${call}`);
      assert.equal(others.length, 0);
      assert.ok(explanation.causes.length > 0);
    }
  });
}

test("every code of memmap's own, and the signals", () => {
  const codes = 'CLOSED READ_ONLY NO_ACCESS TRUNCATED IO UNSUPPORTED TIMEOUT DEADLOCK'.split(' ');
  const terms = [...codes.map((code) => `ERR_MEMMAP_${code}`), 'SIGBUS', 'SIGSEGV'];
  for (const term of [...terms, 'ERR_INVALID_ARG_TYPE', 'ERR_OUT_OF_RANGE']) {
    assert.ok((explain(term)[0]?.causes.length ?? 0) > 0, term);
  }
});

test('a term without a call is explained for every call; a call with all its terms', () => {
  assert.ok(explain('ENOMEM').length > 3);
  assert.deepEqual(
    explain('mlock').map((explanation) => explanation.call),
    Array(explain('mlock').length).fill('mlock'),
  );
  assert.equal(explain('rssfile')[0]?.term, 'RssFile');
  assert.deepEqual(explain('ENOTSUP', 'mmap'), explain('EOPNOTSUPP', 'mmap'));
  assert.equal(explain('ENOTSUP', 'mmap').length, 1);
  assert.deepEqual(explain('nonsense'), []);
  assert.deepEqual(explain('ENODEV', 'nonsense'), []);
});

test('the table has no empty words and nothing twice', () => {
  const keys = explanations.map(({ term, call }) => `${term} ${call}`);
  assert.equal(new Set(keys).size, keys.length);
  for (const { term, meaning, causes } of explanations) {
    assert.ok(meaning.length > 0, term);
    for (const { cause, cure } of causes) assert.ok(cause.length > 0 && cure.length > 0, term);
  }
});

test('arguments are checked', () => {
  assert.throws(() => explain(1 as never), { code: 'ERR_INVALID_ARG_TYPE' });
});
