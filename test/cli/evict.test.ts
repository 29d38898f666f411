import assert from 'node:assert/strict';
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { after, afterEach, test } from 'node:test';
import { pageSize } from 'memmap';
import { lacksDisk, memmap, memmapJson, publicPath, writtenFile } from '../support/command.ts';
import { endHolders, holderOf } from '../support/holder.ts';
import { asNobody, lacksRoot, needs } from '../support/machine.ts';
import { pattern, temporaryPath } from '../support/temporary.ts';

afterEach(endHolders);
after(endHolders);
const disk = needs(lacksDisk);
const pages = 256;

interface Reason {
  reason: string;
  holder: { pid: number } | null;
}
interface Document {
  files: {
    before: { cached: number | null };
    after: { cached: number | null; pages: number };
    freed: number | null;
    complete: boolean | null;
    reasons: Reason[];
  }[];
}

async function evict(...args: string[]) {
  const { code, document, stderr } = await memmapJson<Document>(['evict', ...args]);
  const [file] = document.files;
  assert.ok(file, stderr);
  return { code, file };
}

test('what nobody keeps leaves, and it is looked at', disk, async () => {
  const path = writtenFile(pages * pageSize);
  const { code, stdout, stderr } = await memmap(['evict', path]);
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout, /before 256\/256 100% {3}after 0\/256 0% {3}freed 1M/);
  const again = await evict(path);
  assert.deepEqual([again.code, again.file.freed, again.file.complete], [0, 0, true]);
});

test('what a process maps stays: exit 1, with its name, its address and a hint', disk, async () => {
  const path = writtenFile(pages * pageSize);
  const pid = await holderOf(path, 64);
  const { code, stdout, stderr } = await memmap(['evict', path]);
  assert.equal(code, 1);
  const stay = Number(/(\d+) pages? stays?:/.exec(stdout)?.[1]);
  assert.ok(stay >= 64 && stay <= pages, stdout);
  assert.match(stdout, new RegExp(`mapped by \\S+\\(${pid}\\) [0-9a-f]+ r--s, \\d+ pages`));
  assert.match(stderr, new RegExp(`hint: --from ${pid} `));
  const { file } = await evict(path);
  assert.deepEqual(
    file.reasons.map(({ reason, holder }) => [reason, holder?.pid]),
    [['mapped', pid]],
  );
});

test(
  '--from puts it out of the one process that maps it',
  needs(lacksRoot, lacksDisk),
  async () => {
    const path = writtenFile(pages * pageSize);
    const pid = await holderOf(path, 64);
    const { code, file } = await evict('--from', String(pid), path);
    assert.deepEqual([code, file.complete, file.after.cached], [0, true, 0]);
  },
);

test(
  'two processes that map it: both are named, and --from one is not enough',
  needs(lacksDisk, lacksRoot),
  async () => {
    const path = writtenFile(pages * pageSize);
    const first = await holderOf(path, 64);
    const second = await holderOf(path, 64);
    const { code, file } = await evict('--from', String(first), path);
    assert.equal(code, 1);
    assert.ok((file.after.cached ?? 0) >= 1);
    assert.ok(file.reasons.some(({ holder }) => holder?.pid === second));
  },
);

test('what is locked stays, and is called so', needs(lacksDisk), async () => {
  const path = writtenFile(pages * pageSize);
  const setup = 'mapping.lock({ offset: 0, length: 16 * pageSize });';
  const pid = await holderOf(path, 16, setup);
  const { code, file } = await evict(path);
  assert.equal(code, 1);
  assert.deepEqual(file.reasons.map(({ reason, holder }) => [reason, holder?.pid])[0], [
    'locked',
    pid,
  ]);
});

test('what is dirty stays until it is written: --sync', disk, async () => {
  const path = writtenFile(pages * pageSize);
  const fd = openSync(path, 'r+');
  writeSync(fd, 'x', 0);
  const first = await evict(path);
  if (first.code === 1) {
    // The kernel may have written it meanwhile, all by itself.
    assert.ok(
      first.file.reasons.some(({ reason }) => reason === 'dirty' || reason === 'writeback'),
    );
  }
  const second = await evict('--sync', path);
  closeSync(fd);
  assert.deepEqual([second.code, second.file.complete], [0, true]);
});

test('only a part; a block of pages that reaches beyond it stays whole', disk, async () => {
  const path = writtenFile(pages * pageSize);
  const { code, stdout, stderr } = await memmap(['evict', '--range', '0+64k', path]);
  const part = (64 * 1024) / pageSize;
  assert.ok(stdout.includes(`before ${part}/${part} 100%`), stdout);
  assert.ok([0, 1].includes(code ?? -1));
  if (code === 1) assert.match(stderr, /hint: pages are kept in blocks/);
  else assert.ok(stdout.includes(`after 0/${part} 0%`), stdout);
});

test('--dry-run changes nothing', async () => {
  const path = writtenFile(pages * pageSize);
  const pid = await holderOf(path, 1);
  const { code, stdout } = await memmap(['evict', '-n', path]);
  assert.equal(code, 0);
  assert.match(stdout, new RegExp(`now 256/256 100%.*\n.*mapped by \\S+\\(${pid}\\)`));
  const { document } = await memmapJson(['evict', '-n', path]);
  assert.equal((document as { dryRun: boolean }).dryRun, true);
});

test('what cannot be verified is not called done: ?, exit 3', needs(lacksRoot), async () => {
  const path = publicPath();
  writeFileSync(path, pattern(4 * pageSize), { mode: 0o644 });
  const { code, stdout, stderr } = await memmap(['evict', path], { prefix: asNobody });
  assert.equal(code, 3);
  assert.match(stdout, /before \?\/4 {3}after \?\/4/);
  assert.match(stderr, /the kernel hides it/);
});

test('--dry-run says why something is unknown', needs(lacksRoot), async () => {
  const path = publicPath();
  writeFileSync(path, pattern(4 * pageSize), { mode: 0o644 });
  const { code, stderr } = await memmap(['evict', '-n', path], { prefix: asNobody });
  assert.equal(code, 3);
  assert.match(stderr, /the kernel hides it.*\nhint: /);
});

test('--from takes processes that there are', async () => {
  const { code, stdout, stderr } = await memmap([
    'evict',
    '--from',
    'nobody-has-this',
    '/dev/null',
  ]);
  assert.deepEqual([code, stdout], [2, '']);
  assert.match(stderr, /^memmap evict: There is no process named nobody-has-this\nhint: /);
});

test('a part without a whole page is nothing to evict', disk, async () => {
  const path = writtenFile(4 * pageSize);
  const { code, stdout, stderr } = await memmap(['evict', '--range', '100+200', path]);
  assert.equal(code, 0);
  assert.match(stdout, /before 0\/0/);
  assert.match(stderr, /hint: the range holds no whole page/);
});

test('several files: all are tried, the worst code counts', disk, async () => {
  const path = writtenFile(4 * pageSize);
  const { code, stdout, stderr } = await memmap(['evict', temporaryPath('missing'), path]);
  assert.equal(code, 2);
  assert.match(stdout, /after 0\/4/);
  assert.match(stderr, /there is no such file/);
});
