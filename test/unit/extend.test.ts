import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { map, pageSize } from 'memmap';
import { runModule } from '../support/child.ts';
import {
  asNobody,
  lacksCommand,
  lacksKernel,
  lacksRoot,
  mounted,
  needs,
  openDescriptors,
} from '../support/machine.ts';
import { pattern, temporaryFile, temporaryPath } from '../support/temporary.ts';

const write = { access: 'write' } as const;

test('create makes an empty file with the mode of the umask', () => {
  const path = temporaryPath();
  const former = process.umask(0o027);
  using mapping = map(path, { ...write, create: true });
  process.umask(former);
  assert.equal(mapping.byteLength, 0);
  assert.equal(statSync(path).mode & 0o777, 0o640);
  assert.equal(statSync(path).size, 0);
});

test('create leaves a file that is there alone', () => {
  const path = temporaryFile('content');
  using mapping = map(path, { ...write, create: true });
  assert.equal(mapping.bytes.toString(), 'content');
});

test('create makes the file that a link points to', () => {
  const [link, target] = [temporaryPath(), temporaryPath()];
  symlinkSync(target, link);
  using mapping = map(link, { ...write, create: true, extend: true, length: 10 });
  assert.equal(mapping.byteLength, 10);
  assert.equal(statSync(target).size, 10);
});

test('create with extend makes a file of zeros with its blocks', () => {
  const path = temporaryPath();
  using mapping = map(path, { ...write, create: true, extend: true, length: 10 * pageSize });
  assert.ok(mapping.bytes.every((byte) => byte === 0));
  const { size, blocks } = statSync(path);
  assert.equal(size, 10 * pageSize);
  assert.ok(blocks * 512 >= size);
});

test('extend grows to the end of the range, and keeps what is there', () => {
  const path = temporaryFile('abc');
  using mapping = map(path, { ...write, extend: true, offset: 2, length: 5 });
  assert.equal(mapping.bytes.toString(), 'c\0\0\0\0');
  assert.equal(readFileSync(path, 'latin1'), 'abc\0\0\0\0');
});

test('extend may begin behind the end', () => {
  const path = temporaryFile('abc');
  using mapping = map(path, { ...write, extend: true, offset: pageSize + 1, length: 2 });
  mapping.bytes.write('xy');
  const expected = Buffer.concat([
    Buffer.from('abc'),
    Buffer.alloc(pageSize - 2),
    Buffer.from('xy'),
  ]);
  assert.deepEqual(readFileSync(path), expected);
});

test('extend never cuts', () => {
  const path = temporaryFile(100);
  using mapping = map(path, { ...write, extend: true, length: 10 });
  assert.equal(mapping.byteLength, 10);
  assert.deepEqual(readFileSync(path), pattern(100));
});

test('extend without a length changes nothing', () => {
  const path = temporaryFile(100);
  using mapping = map(path, { ...write, extend: true });
  assert.equal(mapping.byteLength, 100);
  assert.equal(statSync(path).size, 100);
});

test('a file that was created for a refused mapping is removed again', () => {
  const path = temporaryPath();
  const before = openDescriptors();
  const refused = [
    { length: 1 },
    { offset: 1 },
    { extend: true, length: 2 ** 52 },
    { extend: true, length: 10, capacity: 2 ** 52 },
    { extend: true, length: 10, address: BigInt(pageSize) * 2n ** 50n },
    { extend: true, length: pageSize, hugePages: '2MiB' },
  ] as const;
  for (const options of refused) {
    assert.throws(() => map(path, { ...write, create: true, ...options }));
    assert.ok(
      !existsSync(path),
      JSON.stringify(options, (_, v) => `${v}`),
    );
  }
  assert.equal(openDescriptors(), before);
});

test('a file that was extended for a refused mapping is as it was', () => {
  const path = temporaryFile(10);
  const address = BigInt(pageSize) * 2n ** 50n;
  assert.throws(() => map(path, { ...write, extend: true, length: 3 * pageSize, address }));
  assert.deepEqual(readFileSync(path), pattern(10));
});

const limited = needs(lacksKernel, lacksRoot, !lacksRoot && lacksCommand('setpriv', 'prlimit'));

test('also when the lock is what is refused', limited, async () => {
  const source = `
    import assert from 'node:assert/strict';
    import { existsSync, readFileSync } from 'node:fs';
    import { lockAll, map, unlockAll } from 'memmap';
    const [, created, extended] = process.argv;
    const options = { access: 'write', create: true, extend: true, length: 10 };
    for (const path of [created, extended]) {
      assert.throws(() => map(path, { ...options, locked: true }), { syscall: 'mlock' });
      lockAll({ current: false, future: true });
      assert.throws(() => map(path, options), { syscall: 'mlock', hint: /RLIMIT_MEMLOCK/ });
      lockAll({ current: false, future: true, onFault: true });
      assert.throws(() => map(path, options), { syscall: 'mlock' });
      unlockAll();
    }
    assert.ok(!existsSync(created));
    assert.equal(readFileSync(extended, 'utf8'), 'abc');`;
  const folder = temporaryPath();
  mkdirSync(folder);
  chmodSync(dirname(folder), 0o755);
  chmodSync(folder, 0o777);
  const args = [join(folder, 'created'), join(folder, 'extended')];
  writeFileSync(args[1] as string, 'abc');
  chmodSync(args[1] as string, 0o666);
  const prefix = [...asNobody, 'prlimit', '--memlock=0:0'];
  const { code, signal, stderr } = await runModule(source, { args, prefix });
  assert.deepEqual([stderr, code, signal], ['', 0, null]);
});

const small = mounted('tmpfs', 'size=256k');
const full = needs(!small && 'cannot mount a small tmpfs here (needs root)');

test('a full disk is ENOSPC now, and the file is as it was', full, () => {
  const path = join(small as string, 'file');
  writeFileSync(path, pattern(10));
  const options = { ...write, extend: true, length: 2 ** 20 } as const;
  const expected = { code: 'ENOSPC', path, hint: /the file is as it was/ };
  for (const more of [{}, { capacity: 2 ** 21 }, { offset: 2 ** 21 }]) {
    assert.throws(() => map(path, { ...options, ...more }), expected);
    assert.deepEqual(readFileSync(path), pattern(10));
    assert.ok(statSync(path).blocks * 512 <= 65536);
  }
  const created = join(small as string, 'created');
  assert.throws(() => map(created, { ...options, create: true }), { code: 'ENOSPC' });
  assert.ok(!existsSync(created));
  using mapping = map(path, { ...options, length: 65536 });
  assert.equal(mapping.byteLength, 65536);
});
