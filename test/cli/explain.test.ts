import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { explanations } from '#dist/inspect/index.js';
import { memmap, memmapJson } from '../support/command.ts';

interface Document {
  explanations: { term: string; call: string | null; causes: unknown[] }[];
}

test('an error of a call: its causes and their cures', async () => {
  const { code, stdout, stderr } = await memmap(['explain', 'ENODEV', 'mmap']);
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout, /^ENODEV from mmap\n {2}\S.*\n {2}- .*\n {4}-> /);
});

test('everything that can be explained is explained', async () => {
  const { code, document } = await memmapJson<Document>(['explain']);
  assert.equal(code, 0);
  assert.equal(document.explanations.length, explanations.length);
  const codes = document.explanations.map(({ term }) => term);
  for (const term of [
    ...['ENOMEM', 'EACCES', 'EAGAIN', 'SIGBUS', 'SIGSEGV', 'RssFile'],
    ...['ERR_MEMMAP_CLOSED', 'ERR_MEMMAP_TRUNCATED', 'ERR_MEMMAP_READ_ONLY'],
    ...['ERR_MEMMAP_NO_ACCESS', 'ERR_MEMMAP_IO', 'ERR_MEMMAP_UNSUPPORTED'],
  ]) {
    assert.ok(codes.includes(term), term);
  }
});

test('every code that the library can give is explained', () => {
  const sources = readdirSync('src', { recursive: true, encoding: 'utf8' });
  const codes = new Set<string>();
  for (const file of sources.filter((name) => name.endsWith('.ts'))) {
    const text = readFileSync(join('src', file), 'utf8');
    for (const [code] of text.matchAll(/\bERR_MEMMAP_[A-Z_]*[A-Z]\b/g)) codes.add(code);
  }
  const known = new Set(explanations.map(({ term }) => term));
  assert.deepEqual(
    [...codes].filter((code) => !known.has(code)),
    [],
  );
});

test('numbers, small letters and names of calls', async () => {
  const terms = async (...args: string[]) =>
    (await memmapJson<Document>(['explain', ...args])).document.explanations;
  assert.deepEqual(
    (await terms('19', 'mmap')).map(({ term }) => term),
    ['ENODEV'],
  );
  assert.deepEqual(
    (await terms('enodev', 'MMAP')).map(({ term }) => term),
    ['ENODEV'],
  );
  const [poisoned] = await terms('133'); // which Node.js has no name for
  assert.deepEqual([poisoned?.term, poisoned?.call], ['EHWPOISON', 'madvise']);
  assert.ok((await terms('mlock')).every(({ call }) => call === 'mlock'));
  assert.ok((await terms('ENOMEM')).length > 1);
});

test('what is not known: exit 1, and what may have been meant', async () => {
  const near = await memmap(['explain', 'ENODEF']);
  assert.deepEqual([near.code, near.stdout], [1, '']);
  assert.match(near.stderr, /Nothing is known of ENODEF\nhint: is it ENODEV/);
  assert.match((await memmap(['explain', '9999'])).stderr, /Nothing is known of 9999\n/);
  const call = await memmap(['explain', 'ENODEV', 'mlock']);
  assert.match(call.stderr, /hint: it is explained of mmap/);
  assert.equal((await memmap(['explain', 'ENODEF', '--json'])).code, 1);
});
