import assert from 'node:assert/strict';
import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { pageSize } from 'memmap';
import { limits } from '#dist/inspect/index.js';
import { memmap, memmapJson, publicPath } from '../support/command.ts';
import { asNobody, lacksRoot, needs } from '../support/machine.ts';
import { temporaryFile, temporaryPath } from '../support/temporary.ts';

const soft = limits().resources.RLIMIT_MEMLOCK?.soft ?? null;
const isLimited = soft !== null && soft < 2 ** 30;

test('holds a file while a command runs, whose exit code it has', async () => {
  const path = temporaryFile(64 * pageSize);
  const look = 'grep VmLck /proc/$PPID/status; exit 5';
  const { code, stdout } = await memmap(['lock', path, '--', 'sh', '-c', look]);
  assert.equal(code, 5);
  assert.equal(Number(/VmLck:\s+(\d+)/.exec(stdout)?.[1]) * 1024, 64 * pageSize);
});

test('a command that ends by a signal: 128 and its number', async () => {
  const path = temporaryFile(pageSize);
  assert.equal((await memmap(['lock', path, '--', 'sh', '-c', 'kill -9 $$'])).code, 137);
});

test('125: memmap failed; 126: not executable; 127: not found', async () => {
  const path = temporaryFile(pageSize);
  const codeOf = async (...args: string[]) => (await memmap(['lock', ...args])).code;
  assert.equal(await codeOf(temporaryPath('missing'), '--', 'true'), 125);
  assert.equal(await codeOf(path, '--', temporaryFile('not a program')), 126);
  assert.equal(await codeOf(path, '--', temporaryPath('missing')), 127);
});

test('for a time, with a pidfile that goes with it', async () => {
  const path = temporaryFile(3 * pageSize);
  const pidfile = temporaryPath('pid');
  const args = ['lock', '--wait', '0.2', '--pidfile', pidfile, path];
  const { code, document } = await memmapJson<{ needed: number; locked: number }>(args);
  assert.equal(code, 0);
  assert.deepEqual([document.needed, document.locked], [3 * pageSize, 3 * pageSize]);
  assert.equal(existsSync(pidfile), false);
  writeFileSync(pidfile, '1');
  const second = await memmap(args);
  assert.equal(second.code, 2);
  assert.match(second.stderr, /Cannot write the pidfile/);
  assert.equal(readFileSync(pidfile, 'utf8'), '1');
});

test('--onfault locks what comes in, and brings nothing in', async () => {
  const { code, stdout } = await memmap(['lock', '--onfault', '--wait', '0.05', temporaryFile(1)]);
  assert.equal(code, 0);
  assert.match(stdout, /locked when it comes in/);
});

test('an empty file is nothing to lock', async () => {
  assert.equal((await memmap(['lock', '--wait', '0.05', temporaryFile('')])).code, 0);
});

test(
  'what the limit does not allow is refused before anything is locked, with figures and a cure',
  needs(lacksRoot, !isLimited && 'RLIMIT_MEMLOCK is too high to be met by a test'),
  async () => {
    const path = publicPath();
    writeFileSync(path, '');
    const length = (soft as number) + pageSize;
    truncateSync(path, length);
    for (const args of [[path], ['-n', path]]) {
      const { code, stdout, stderr } = await memmap(['lock', ...args], { prefix: asNobody });
      assert.deepEqual([code, stdout], [3, '']);
      assert.match(stderr, /needs .*, RLIMIT_MEMLOCK .*, CAP_IPC_LOCK no/);
      assert.match(stderr, /hint: ulimit -l \d+/);
    }
    const asTool = await memmap(['lock', path, '--', 'true'], { prefix: asNobody });
    assert.equal(asTool.code, 125);
    const free = await memmap(['lock', '-n', path]);
    assert.equal(free.code, 0);
    assert.match(free.stdout, /allowed/);
  },
);

test('more than memory holds is refused: the kernel would end processes for it', async () => {
  const path = temporaryFile('');
  truncateSync(path, 2 ** 43);
  for (const args of [[path], ['-n', path]]) {
    const { code, stdout, stderr } = await memmap(['lock', ...args]);
    assert.deepEqual([code === 0, stdout], [false, '']);
    assert.match(
      stderr,
      /Cannot lock: (8 TiB are more than the .* that are available|needs 8 TiB)/,
    );
  }
});

test('all files are looked at before any is locked; each that is none is named', async () => {
  const [good, missing, other] = [temporaryFile(1), temporaryPath('a'), temporaryPath('b')];
  const { code, stderr } = await memmap(['lock', missing, good, other]);
  assert.equal(code, 2);
  for (const path of [missing, other]) assert.ok(stderr.includes(path), stderr);
});
