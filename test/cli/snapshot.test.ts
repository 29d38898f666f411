import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { pageSize } from 'memmap';
import { readSmaps } from '#dist/inspect/index.js';
import { checkDocument, memmap, memmapJson } from '../support/command.ts';
import { until } from '../support/fault.ts';
import { endHolders, holderOf } from '../support/holder.ts';
import { asNobody, lacksRoot, needs } from '../support/machine.ts';
import { temporaryFile, temporaryPath } from '../support/temporary.ts';

after(endHolders);
const own = String(process.pid);

test('a snapshot is a document, on stdout or in a new file', async () => {
  const { code, stdout } = await memmap(['snapshot', own]);
  assert.equal(code, 0);
  checkDocument(stdout);
  const path = temporaryPath('snapshot');
  assert.equal((await memmap(['snapshot', own, '-o', path])).code, 0);
  checkDocument(readFileSync(path, 'utf8'));
  assert.equal((await memmap(['snapshot', own, '-o', path])).code, 2, 'never over another');
});

test('a mapping that came since is told, in text and in JSON', async () => {
  const path = temporaryFile(32 * pageSize);
  const late = `process.once('SIGUSR2', () => { globalThis.late = map(${JSON.stringify(path)});
    for (let i = 0; i < 32; i++) globalThis.late.read(Buffer.alloc(1), i * pageSize); });`;
  const pid = await holderOf(temporaryFile(1), 1, late);
  const before = temporaryPath('before');
  await memmap(['snapshot', String(pid), '-o', before]);
  process.kill(pid, 'SIGUSR2');
  process.kill(pid, 'SIGCONT');
  const resident = () => readSmaps(pid).find(({ name }) => name === path)?.rss;
  await until(() => resident() === 32 * pageSize);
  const { code, document } = await memmapJson<{
    sameProcess: boolean;
    added: { name: string; resident: number }[];
    total: { maps: { change: number } };
  }>(['diff', before, String(pid)]);
  assert.deepEqual([code, document.sameProcess], [0, true]);
  const added = document.added.find(({ name }) => name === path);
  assert.ok(added);
  assert.equal(added.resident, 32 * pageSize);
  const { stdout } = await memmap(['diff', before, String(pid)]);
  assert.match(stdout, /BEFORE +AFTER +CHANGE/);
  assert.match(stdout, new RegExp(`^\\+ .*\\+128K .*${path}$`, 'm'));
});

test('the same twice: nothing changed', async () => {
  const path = temporaryPath('snapshot');
  await memmap(['snapshot', own, '-o', path]);
  const { code, stdout } = await memmap(['diff', path, path]);
  assert.equal(code, 0);
  assert.match(stdout, /No mapping changed\./);
});

test('snapshots of two processes are compared with a warning', async () => {
  const [a, b] = [temporaryPath('a'), temporaryPath('b')];
  await memmap(['snapshot', own, '-o', a]);
  await memmap(['snapshot', String(process.ppid), '-o', b]);
  const { code, stderr } = await memmap(['diff', a, b]);
  assert.equal(code, 0);
  assert.match(stderr, /are of two processes/);
});

test('what is no snapshot, or none of this version', async () => {
  const other = temporaryFile('{"schema":"memmap.snapshot/2"}');
  const good = temporaryPath('good');
  await memmap(['snapshot', own, '-o', good]);
  for (const path of [
    temporaryFile('text'),
    temporaryFile('{}'),
    temporaryPath('missing'),
    other,
  ]) {
    const { code, stdout } = await memmap(['diff', path, good]);
    assert.deepEqual([code, stdout], [2, ''], path);
  }
  writeFileSync(good, '');
  assert.equal((await memmap(['diff', good, good])).code, 2);
});

test('without privileges: EACCES for processes of others', needs(lacksRoot), async () => {
  assert.equal((await memmap(['snapshot', own], { prefix: asNobody })).code, 3);
});
