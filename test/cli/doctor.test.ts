import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { memmap, memmapJson, publicPath } from '../support/command.ts';
import { asNobody, lacksRoot, needs } from '../support/machine.ts';
import { temporaryFile, temporaryPath } from '../support/temporary.ts';

interface Check {
  group: string;
  name: string;
  status: string;
  value: string;
  why: string;
  cure: string | null;
}
interface Document {
  checks: Check[];
}
const statusOf = ({ checks }: Document, name: string) =>
  checks.find((check) => check.name === name)?.status;

test('the machine: everything has a verdict, and nothing is needed', async () => {
  const { code, document } = await memmapJson<Document>(['doctor']);
  assert.equal(code, 0);
  const names = document.checks.map(({ name }) => name);
  for (const name of [
    ...['RLIMIT_MEMLOCK', 'RLIMIT_AS', 'mappings', 'CAP_IPC_LOCK', 'overcommit', 'control group'],
    ...['addresses', 'sizes of transparent huge pages'],
    ...['transparent huge pages', 'swap', 'page tables', 'cachestat', 'PAGEMAP_SCAN', 'soft-dirty'],
  ]) {
    assert.ok(names.includes(name), name);
  }
});

test('text: groups, verdicts, a sum', async () => {
  const { stdout } = await memmap(['doctor']);
  assert.match(stdout, /^Limits of the process\n(OK|WARN|FAIL|SKIP) +RLIMIT_MEMLOCK: /);
  assert.match(stdout, /\nMemory of the machine\n/);
  assert.match(stdout, /\d+ checks: 0 failed, \d+ warnings, \d+ unknown\n$/);
  for (const line of stdout.split('\n')) assert.ok(line.length <= 100, line);
});

test('what cannot be had fails, with a cure: exit 1', async () => {
  const { code, document } = await memmapJson<Document>(['doctor', '--need', 'maps=100M,huge=1P']);
  assert.equal(code, 1);
  assert.equal(statusOf(document, 'mappings'), 'fail');
  const cure = document.checks.find(({ name }) => name === 'mappings')?.cure ?? '';
  assert.match(cure, /^sysctl -w vm\.max_map_count=\d+$/);
  assert.ok(document.checks.some(({ name, status }) => /^huge/.test(name) && status === 'fail'));
});

test('what no address space has room for fails: exit 1', async () => {
  const { code, document } = await memmapJson<Document>(['doctor', '--need', 'map=4P']);
  assert.deepEqual([code, statusOf(document, 'addresses')], [1, 'fail']);
  const overcommit = document.checks.find(({ name }) => name === 'overcommit');
  assert.match(overcommit?.value ?? '', /CommitLimit/);
  assert.equal(overcommit?.cure, null);
});

test('--need may be repeated', async () => {
  const args = ['doctor', '--need', 'maps=100M', '--need', 'lock=1'];
  const { document } = await memmapJson<Document>(args);
  assert.equal(statusOf(document, 'mappings'), 'fail');
});

test('the script of cures is one that a shell can read, and changes nothing by itself', async () => {
  const args = ['doctor', '--need', 'maps=100M,huge=1G', '--fix-script'];
  const { code, stdout } = await memmap(args);
  assert.equal(code, 1);
  assert.match(stdout, /^#!\/bin\/sh\n/);
  assert.match(stdout, /\nsysctl -w vm\.max_map_count=\d+\n/);
  assert.equal(spawnSync('sh', ['-n'], { input: stdout }).status, 0);
});

test('a file: what it is, where it is, and what a mapping of it would meet', async () => {
  const { code, document } = await memmapJson<Document>(['doctor', temporaryFile(5000)]);
  assert.equal(code, 0);
  const file = document.checks.filter(({ group }) => group === 'file');
  const names = file.map(({ name }) => name);
  for (const name of [
    ...['type', 'file system', 'DAX', 'MAP_SYNC', 'rights', 'size', 'alignment'],
    ...['in memory', 'mapped by'],
  ]) {
    assert.ok(names.includes(name), name);
  }
  assert.match(file.find(({ name }) => name === 'file system')?.value ?? '', /magic 0x[0-9a-f]+$/);
});

test('what cannot be mapped fails, and the next command is named', async () => {
  const directory = temporaryPath('directory');
  mkdirSync(directory);
  for (const path of [directory, '/proc/self/maps']) {
    const { code, stdout } = await memmap(['doctor', path]);
    assert.equal(code, 1, path);
    assert.match(stdout, /FAIL {2}.*\n/);
  }
  const { stderr } = await memmap(['doctor', directory]);
  assert.match(stderr, /hint: memmap explain ENODEV/);
  assert.equal((await memmap(['doctor', temporaryPath('missing')])).code, 1);
});

test('a process; one that there is not', async () => {
  const { code, document } = await memmapJson<Document>(['doctor', String(process.pid)]);
  assert.equal(code, 0);
  assert.ok(document.checks.some(({ group, name }) => group === 'process' && name === 'mappings'));
  assert.equal((await memmap(['doctor', '4194303'])).code, 2);
});

test(
  'without privileges: what cannot be known is skipped and named',
  needs(lacksRoot),
  async () => {
    const path = publicPath();
    writeFileSync(path, 'x', { mode: 0o644 });
    const prefix = asNobody;
    const { code, document } = await memmapJson<Document>(['doctor', path], { prefix });
    assert.equal(code, 0);
    assert.equal(statusOf(document, 'in memory'), 'skip');
    assert.equal(statusOf(document, 'frame numbers'), 'skip');
    const other = await memmapJson<Document>(['doctor', String(process.pid)], { prefix });
    assert.equal(statusOf(other.document, 'readable'), 'skip');
    const lock = await memmapJson<Document>(['doctor', '--need', 'lock=100G'], { prefix });
    assert.equal(lock.code, 1);
  },
);
