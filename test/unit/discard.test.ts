import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { anonymous, map, pageSize } from 'memmap';
import { lacksKernel, needs } from '../support/machine.ts';
import { pattern, temporaryFile } from '../support/temporary.ts';

const length = 4 * pageSize;
const second = { offset: pageSize, length: pageSize };
const kernel = needs(lacksKernel);

test("'dontneed' makes zeros of private anonymous memory, and only there", () => {
  using mapping = anonymous(length);
  mapping.bytes.fill(7);
  mapping.discard('dontneed', second);
  for (let page = 0; page < 4; page++) {
    assert.equal(mapping.bytes[page * pageSize], page === 1 ? 0 : 7);
    assert.equal(mapping.bytes[page * pageSize + pageSize - 1], page === 1 ? 0 : 7);
  }
});

test("'dontneed' brings a copy back to its file", () => {
  using mapping = map(temporaryFile(length), { access: 'copy' });
  mapping.bytes.fill(7);
  mapping.discard('dontneed', second);
  const content = pattern(length).subarray(pageSize, 2 * pageSize);
  assert.ok(mapping.bytes.subarray(pageSize, 2 * pageSize).equals(content));
  assert.equal(mapping.bytes[0], 7);
  mapping.discard('dontneed');
  assert.ok(mapping.bytes.equals(pattern(length)));
});

test("'dontneed' loses nothing of a shared file", () => {
  const path = temporaryFile(length);
  using mapping = map(path, { access: 'write' });
  mapping.bytes.fill(7);
  mapping.discard('dontneed');
  assert.ok(mapping.bytes.every((byte) => byte === 7));
  assert.ok(readFileSync(path).every((byte) => byte === 7));
});

test("'free' gives zeros or what was there, and stores stay", kernel, () => {
  using mapping = anonymous(length);
  mapping.bytes.fill(7);
  mapping.discard('free', second);
  assert.ok([0, 7].includes(mapping.bytes[pageSize] as number));
  mapping.bytes[pageSize] = 9;
  assert.equal(mapping.bytes[pageSize], 9);
  assert.equal(mapping.bytes[0], 7);
});

test("'free' is for private anonymous memory", kernel, () => {
  using mapping = map(temporaryFile(length), { access: 'write' });
  assert.throws(() => mapping.discard('free'), {
    code: 'EINVAL',
    syscall: 'madvise',
    hint: /kind/,
  });
  assert.ok(mapping.bytes.equals(pattern(length)));
});

test("'remove' punches a hole into the file", kernel, () => {
  const path = temporaryFile(length);
  using mapping = map(path, { access: 'write' });
  mapping.flushSync();
  const before = statSync(path).blocks;
  mapping.discard('remove', second);
  const expected = pattern(length).fill(0, pageSize, 2 * pageSize);
  assert.ok(mapping.bytes.equals(expected));
  assert.ok(readFileSync(path).equals(expected));
  assert.equal(statSync(path).size, length);
  assert.ok(statSync(path).blocks < before);
});

test("'remove' of shared memory gives its pages back", needs(lacksKernel), () => {
  using mapping = anonymous(length, { shared: true });
  mapping.bytes.fill(7);
  mapping.discard('remove', second);
  assert.equal(mapping.residency().resident, 3);
  assert.equal(mapping.bytes[pageSize], 0);
  assert.equal(mapping.bytes[0], 7);
});

test("'remove' needs 'write'", () => {
  for (const access of ['read', 'copy'] as const) {
    using mapping = map(temporaryFile(length), { access });
    assert.throws(() => mapping.discard('remove'), { code: 'ERR_MEMMAP_READ_ONLY' });
  }
});

test('parts of pages are refused with the pages around them', () => {
  using mapping = anonymous(length);
  mapping.bytes.fill(7);
  const refused = (offset: number, size: number, first: number, whole: number) =>
    assert.throws(() => mapping.discard('dontneed', { offset, length: size }), {
      name: 'RangeError',
      code: 'ERR_OUT_OF_RANGE',
      message: new RegExp(`whole pages of ${pageSize} bytes.*offset: ${offset}, length: ${size}`),
      hint: new RegExp(`\\{offset: ${first}, length: ${whole}\\}`),
    });
  refused(1, pageSize, 0, 2 * pageSize);
  refused(0, 1, 0, pageSize);
  refused(pageSize, pageSize + 1, pageSize, 2 * pageSize);
  refused(length - 1, 1, length - pageSize, pageSize);
  assert.ok(mapping.bytes.every((byte) => byte === 7));
});

test('pages are those of the memory: an odd offset moves them', () => {
  using mapping = map(temporaryFile(length), { access: 'copy', offset: 100 });
  mapping.bytes.fill(7);
  const whole = { offset: pageSize - 100, length: pageSize };
  assert.throws(() => mapping.discard('dontneed', second), {
    hint: new RegExp(`\\{offset: ${pageSize - 100}, length: ${2 * pageSize}\\}`),
  });
  mapping.discard('dontneed', whole);
  assert.equal(mapping.bytes[pageSize - 101], 7);
  assert.equal(mapping.bytes[pageSize - 100], pattern(length)[pageSize]);
  mapping.discard('dontneed', { length: pageSize - 100 });
  assert.equal(mapping.bytes[0], pattern(length)[100]);
});

test('the end of the mapping counts as aligned', () => {
  using mapping = map(temporaryFile(length), { access: 'copy', length: pageSize + 5 });
  mapping.bytes.fill(7);
  mapping.discard('dontneed', { offset: pageSize, length: 5 });
  assert.equal(mapping.bytes[pageSize], pattern(length)[pageSize]);
  assert.equal(mapping.bytes[0], 7);
});

test("'remove' takes exactly the bytes of the mapping, not the pages around them", kernel, () => {
  const path = temporaryFile(length);
  const from = pageSize - 96;
  using part = map(path, { access: 'write', offset: from, length: 200 });
  part.discard('remove');
  const expected = pattern(length).fill(0, from, from + 200);
  assert.ok(readFileSync(path).equals(expected));
  using whole = map(path, { access: 'write', length: 2 * pageSize + 10 });
  whole.discard('remove', { offset: 2 * pageSize, length: 10 });
  assert.ok(readFileSync(path).equals(expected.fill(0, 2 * pageSize, 2 * pageSize + 10)));
});

test('locked pages are not discarded', kernel, () => {
  using mapping = anonymous(length);
  mapping.bytes.fill(7);
  mapping.lock(second);
  assert.throws(() => mapping.discard('dontneed', second), { code: 'EINVAL', hint: /locked/ });
  assert.equal(mapping.bytes[pageSize], 7);
});
