import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { pageSize } from 'memmap';
import { lacksDisk, memmap, memmapJson, publicPath, writtenFile } from '../support/command.ts';
import { asNobody, lacksRoot, needs } from '../support/machine.ts';
import { pattern, temporaryFile, temporaryPath } from '../support/temporary.ts';

const pages = 512;

interface Document {
  files: {
    before: { cached: number | null };
    after: { cached: number | null };
    asked: number;
    complete: boolean | null;
  }[];
}

async function coldFile(): Promise<string> {
  const path = writtenFile(pages * pageSize);
  assert.equal((await memmap(['evict', path])).code, 0);
  return path;
}

for (const how of ['populate', 'willneed', 'read']) {
  test(`a cold file is brought in and looked at: ${how}`, needs(lacksDisk), async () => {
    const path = await coldFile();
    const { code, document } = await memmapJson<Document>(['warm', '--advise', how, path]);
    const [file] = document.files;
    assert.deepEqual([code, file?.before.cached, file?.complete], [0, 0, true]);
    assert.equal(file?.asked, pages * pageSize);
  });
}

test('what is there already is left alone', async () => {
  const path = temporaryFile(pages * pageSize);
  const { code, document } = await memmapJson<Document>(['warm', path]);
  assert.deepEqual([code, document.files[0]?.asked], [0, 0]);
  const all = await memmapJson<Document>(['warm', '--all', path]);
  assert.deepEqual([all.code, all.document.files[0]?.asked], [0, pages * pageSize]);
});

test('text: before, after, time and faults', needs(lacksDisk), async () => {
  const { code, stdout } = await memmap(['warm', await coldFile()]);
  assert.equal(code, 0);
  assert.match(stdout, /before 0\/512 0% {3}after 512\/512 100% {3}2M asked for in .*, \d+ minor/);
});

test('a limit leaves a rest, which is an honest no', needs(lacksDisk), async () => {
  const path = await coldFile();
  const { code, document, stderr } = await memmapJson<Document>(['warm', '--limit', '4k', path]);
  // Reading ahead may have brought the rest all the same.
  const isComplete = document.files[0]?.complete;
  assert.equal(code, isComplete ? 0 : 1);
  assert.equal(document.files[0]?.asked, 4096);
  if (!isComplete) assert.match(stderr, /the limit was reached/);
});

test('--dry-run changes nothing', needs(lacksDisk), async () => {
  const path = await coldFile();
  const { code, document } = await memmapJson<Document>(['warm', '-n', path]);
  assert.deepEqual([code, document.files[0]?.after.cached], [0, 0]);
});

test('a part, an empty file, a missing one', async () => {
  const path = temporaryFile(pages * pageSize);
  assert.equal((await memmap(['warm', '--range', '4k+8k', path])).code, 0);
  assert.equal((await memmap(['warm', temporaryFile('')])).code, 0);
  assert.equal((await memmap(['warm', temporaryPath('missing')])).code, 2);
});

test('what cannot be verified is ?, exit 3', needs(lacksRoot), async () => {
  const path = publicPath();
  writeFileSync(path, pattern(4 * pageSize), { mode: 0o644 });
  const { code, stdout } = await memmap(['warm', path], { prefix: asNobody });
  assert.equal(code, 3);
  assert.match(stdout, /after \?\/4/);
});
