import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { memmap, memmapJson } from '../support/command.ts';
import { lacksCommand, needs } from '../support/machine.ts';
import { temporaryFile, temporaryPath } from '../support/temporary.ts';

interface Document {
  lines: number | null;
  newlines: number | null;
  words: number | null;
  bytes: number | null;
}

test('lines, words and bytes; a last line without newline counts', async () => {
  const path = temporaryFile('one two\nthree\n\nlast');
  const { code, stdout } = await memmap(['count', path]);
  assert.deepEqual([code, stdout], [0, `      4       4      19 ${path}\n`]);
  const { document } = await memmapJson<Document>(['count', path, 'newlines', 'bytes']);
  assert.deepEqual(document, {
    ...document,
    ...{ lines: null, newlines: 3, words: null, bytes: 19 },
  });
});

test('an empty file has none of anything', async () => {
  const { document } = await memmapJson<Document>(['count', temporaryFile('')]);
  assert.deepEqual([document.lines, document.words, document.bytes], [0, 0, 0]);
});

test('the same as wc, on one thread and on several', needs(lacksCommand('wc')), async () => {
  const path = temporaryFile(Array.from({ length: 2 ** 21 }, (_, i) => `${i} word`).join('\n'));
  const { stdout } = spawnSync('wc', ['-lwc', path], { encoding: 'utf8', env: { LC_ALL: 'C' } });
  const [newlines, words, bytes] = stdout.trim().split(/\s+/).map(Number);
  for (const jobs of ['1', '3']) {
    const args = ['count', '--jobs', jobs, path, 'newlines', 'words', 'bytes'];
    const { document } = await memmapJson<Document>(args);
    assert.deepEqual([document.newlines, document.words, document.bytes], [newlines, words, bytes]);
  }
});

test('words of a file without any newline, on several threads', async () => {
  const path = temporaryFile('word '.repeat(2 ** 22));
  const { document } = await memmapJson<Document>(['count', '--jobs', '2', path, 'words']);
  assert.equal(document.words, 2 ** 22);
});

test('plain, -v and trouble', async () => {
  const path = temporaryFile('a b\n');
  assert.equal((await memmap(['count', '--plain', path])).stdout, `1\t2\t4\t${path}\n`);
  assert.match((await memmap(['count', '-v', path])).stderr, /minor and \d+ major faults/);
  assert.equal((await memmap(['count', temporaryPath('missing')])).code, 2);
});
