import assert from 'node:assert/strict';
import {
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { pageSize } from 'memmap';
import {
  checkDocument,
  interrupted,
  lacksDisk,
  memmap,
  memmapJson,
  publicPath,
  writtenFile,
} from '../support/command.ts';
import { endHolders, holderOf } from '../support/holder.ts';
import { asNobody, lacksRoot, needs } from '../support/machine.ts';
import { pattern, temporaryFile, temporaryPath } from '../support/temporary.ts';

after(endHolders);

interface File {
  path: string;
  size: number;
  pages: number;
  cached: number | null;
  dirty: number | null;
  cells: (number | null)[][] | null;
  holders: { pid: number; comm: string; start: string; perm: string; pages: number }[];
  error: { code: string } | null;
}
interface Document {
  pageSize: number;
  source: string | null;
  files: File[];
  total: { files: number; pages: number; cached: number | null; cachedBytes: number | null };
}

test('a file that was just written is in memory, and says so in every form', async () => {
  const path = temporaryFile(10 * pageSize + 1);
  const text = await memmap(['cache', path]);
  assert.equal(text.code, 0);
  assert.match(text.stdout, /^ *RES +SIZE +% +DIRTY +WB +EVICTED +IN MEMORY +FILE\n/);
  assert.match(text.stdout, new RegExp(` 100% .*\\[█{11}\\] +${path}\n`));
  const { code, document } = await memmapJson<Document>(['cache', '--cells', '4', path]);
  assert.equal(code, 0);
  const [file] = document.files;
  assert.deepEqual([file?.pages, file?.cached], [11, 11], 'a short last page counts as one');
  assert.equal(file?.cells?.length, 4);
  const plain = await memmap(['cache', '--plain', path]);
  const fields = plain.stdout.trimEnd().split('\t');
  assert.deepEqual(
    [fields[0], fields[1], fields.at(-1)],
    [String(11 * pageSize), String(10 * pageSize + 1), path],
  );
});

test('an empty file has no pages, and is no trouble', async () => {
  const { code, document } = await memmapJson<Document>(['cache', temporaryFile('')]);
  assert.deepEqual([code, document.files[0]?.pages, document.files[0]?.cached], [0, 0, 0]);
});

test('a part of a file; what lies behind its end is left out', async () => {
  const path = temporaryFile(8 * pageSize);
  const range = `${2 * pageSize}+1G`;
  const { document } = await memmapJson<Document>(['cache', '--range', range, path]);
  assert.equal(document.files[0]?.pages, 6);
});

test('what a user may not know is ?, exit 3, and never 100 %', needs(lacksRoot), async () => {
  const path = publicPath();
  writeFileSync(path, pattern(4 * pageSize), { mode: 0o644 });
  for (const source of [[], ['--source', 'cachestat'], ['--source', 'mincore']]) {
    const options = { prefix: asNobody };
    const { code, stdout, stderr } = await memmap(['cache', ...source, path], options);
    assert.equal(code, 3);
    assert.doesNotMatch(stdout, /100%/);
    assert.match(stdout, /^ *\? .*\[\?+\]/m);
    assert.match(stderr, /the kernel hides it/);
    assert.match(stderr, /hint: run as root, or as the owner/);
    const json = await memmapJson<Document>(['cache', ...source, path], options);
    assert.deepEqual([json.code, json.document.files[0]?.cached], [3, null]);
    assert.equal(json.document.files[0]?.error?.code, 'EPERM');
    assert.equal(json.document.total.cached, null);
  }
});

test('the owner needs no privileges', needs(lacksRoot), async () => {
  const directory = publicPath('own');
  mkdirSync(directory);
  chmodSync(directory, 0o777);
  const path = join(directory, 'file');
  const made = await memmap(['cache', path], {
    prefix: [...asNobody, 'sh', '-c', `echo mine > '${path}'; exec "$0" "$@"`],
  });
  assert.equal(made.code, 0, made.stderr);
  assert.match(made.stdout, /100%/);
});

test('several files: each is looked at, the worst code counts, hard links count once', async () => {
  const path = temporaryFile(4 * pageSize);
  const link = temporaryPath('link');
  linkSync(path, link);
  const missing = temporaryPath('missing');
  const args = ['cache', path, missing, link];
  const { code, document, stderr } = await memmapJson<Document>(args);
  assert.equal(code, 2);
  assert.match(stderr, /there is no such file/);
  assert.deepEqual(
    document.files.map((file) => file.error?.code ?? null),
    [null, 'ENOENT', null],
  );
  assert.deepEqual([document.total.files, document.total.pages], [1, 4]);
});

test('directories, names from a list, and the largest only', async () => {
  const directory = temporaryPath('directory');
  mkdirSync(join(directory, 'inner'), { recursive: true });
  writeFileSync(join(directory, 'small'), 'x');
  writeFileSync(join(directory, 'large'), pattern(5 * pageSize));
  writeFileSync(join(directory, 'inner', 'deep'), pattern(9 * pageSize));
  const names = async (...args: string[]) => {
    const { document } = await memmapJson<Document>(['cache', ...args]);
    return document.files.map(({ path }) => path.slice(directory.length + 1));
  };
  assert.deepEqual(await names(directory), ['large', 'small']);
  assert.deepEqual(await names('-r', directory), ['inner/deep', 'large', 'small']);
  assert.deepEqual(await names('-r', '--top', '1', directory), ['inner/deep']);
  const list = temporaryFile(`${join(directory, 'small')}\0${join(directory, 'large')}\0`);
  assert.deepEqual(await names('--files0-from', list), ['small', 'large']);
});

test('what has no page cache is refused with a reason', async () => {
  const { code, stderr } = await memmap(['cache', '/dev/null']);
  assert.equal(code, 2);
  assert.match(stderr, /it has no page cache \(ENODEV\)/);
});

test('--require is an honest no, with the way to yes', needs(lacksDisk), async () => {
  const path = writtenFile(64 * pageSize);
  assert.equal((await memmap(['cache', '--require', '100', path])).code, 0);
  assert.equal((await memmap(['evict', path])).code, 0);
  const { code, stderr } = await memmap(['cache', '--require', '50', path]);
  assert.equal(code, 1);
  assert.match(stderr, /hint: memmap warm /);
});

test('one byte stored makes a page or more dirty, and the bar shows where', async () => {
  const path = writtenFile(64 * pageSize);
  const fd = openSync(path, 'r+');
  writeSync(fd, 'x', 0);
  const { document } = await memmapJson<Document>(['cache', '--cells', '64', path]);
  closeSync(fd);
  const [file] = document.files;
  // Kept per folio: how many pages one has depends on how the file was written.
  assert.ok((file?.dirty ?? 0) >= 1 || lacksDisk, JSON.stringify(file));
  const { stdout } = await memmap(['cache', '--dirty', '--map', path]);
  assert.match(stdout, /DIRTY PAGES/);
});

test('in the cache is more than in a page table; --holders tells both', async () => {
  const path = writtenFile(256 * pageSize);
  const pid = await holderOf(path, 1);
  const { document } = await memmapJson<Document>(['cache', '--holders', path]);
  const [file] = document.files;
  const mapping = file?.holders.find((one) => one.pid === pid);
  assert.match(mapping?.start ?? '', /^0x/);
  assert.equal(mapping?.perm, 'r--s');
  const mapped = mapping?.pages ?? 0;
  assert.ok(mapped >= 1 && mapped <= (file?.cached ?? 0));
  const { stdout } = await memmap(['cache', '--holders', path]);
  assert.match(stdout, new RegExp(`^ *${pid} +\\S+ +[0-9a-f]+ +r--s`, 'm'));
});

test(
  'a directory that may not be read is told, and the rest is shown',
  needs(lacksRoot),
  async () => {
    const directory = publicPath('closed');
    mkdirSync(directory, { mode: 0o700 });
    chmodSync(dirname(directory), 0o755);
    const { code, stderr } = await memmap(['cache', '-r', directory], { prefix: asNobody });
    assert.equal(code, 3);
    assert.match(stderr, /EACCES/);
  },
);

test('a stream has a document for each look', async () => {
  const path = temporaryFile(pageSize);
  const { stdout, code } = await interrupted(['cache', '--watch=0.05', '--ndjson', path], /\n.*\n/);
  assert.equal(code, 130);
  const lines = stdout.trimEnd().split('\n');
  assert.ok(lines.length >= 2);
  for (const line of lines) checkDocument(line);
});
