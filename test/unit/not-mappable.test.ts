import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { anonymous, map, pageSize } from 'memmap';
import { runModule } from '../support/child.ts';
import { lacksCommand, lacksKernel, needs, openDescriptors } from '../support/machine.ts';
import { temporaryDirectory, temporaryFile, temporaryPath } from '../support/temporary.ts';

const refused = { name: 'MemmapError', code: 'ENODEV', hint: /have no pages: read\(\) them/ };

/** Maps a path in every way, and by a descriptor, in a child; it prints the codes. */
async function tryInChild(path: string): Promise<string> {
  const { code, signal, stdout, stderr } = await runModule(
    `import { map } from 'memmap';
     const said = [];
     for (const access of ['read', 'write', 'copy']) {
       for (const options of [{ access }, { access, length: 1 }]) {
         try { map(process.argv[1], options); said.push('mapped'); }
         catch (error) { said.push(error.code); }
       }
     }
     console.log([...new Set(said)].join());`,
    { args: [path] },
  );
  assert.deepEqual([code, signal, stderr], [0, null, '']);
  return stdout.trim();
}

test('a directory', () => {
  const directory = temporaryDirectory();
  for (const access of ['read', 'write', 'copy'] as const) {
    const expected = { ...refused, path: directory, message: /it is a directory/ };
    assert.throws(() => map(directory, { access }), expected);
  }
  assert.throws(() => map(openSync(directory, 'r')), refused);
});

test('a FIFO is refused and does not hang', needs(lacksCommand('mkfifo')), async () => {
  const path = temporaryPath('fifo');
  assert.equal(spawnSync('mkfifo', [path]).status, 0);
  assert.equal(await tryInChild(path), 'ENODEV');
});

test('a socket', async () => {
  const path = temporaryPath('socket');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  assert.equal(await tryInChild(path), 'ENODEV');
  server.close();
});

test('pipes and sockets by their descriptor', async () => {
  const { code, stdout } = await runModule(`
    import { map } from 'memmap';
    try { map(1); } catch (error) { console.log(error.code, /pipe|socket/.test(error.message)); }
  `);
  assert.deepEqual([code, stdout], [0, 'ENODEV true\n']);
});

test('files of /proc and /sys', needs(lacksKernel), () => {
  for (const path of ['/proc/self/status', '/proc/version', '/sys/kernel/mm/ksm/run']) {
    assert.throws(() => map(path), { ...refused, path });
    assert.throws(() => map(path, { access: 'copy' }), refused);
  }
});

test('/dev/zero is mapped, with an explicit length', () => {
  using mapping = map('/dev/zero', { access: 'write', length: 2 * pageSize });
  assert.ok(mapping.bytes.every((byte) => byte === 0));
  mapping.bytes.fill(1);
  assert.ok(mapping.bytes.every((byte) => byte === 1));
  const target = Buffer.alloc(8);
  assert.equal(mapping.read(target, pageSize), 8);
  assert.deepEqual(target, Buffer.alloc(8, 1));
  using copy = map('/dev/zero', { access: 'copy', length: 10 });
  assert.deepEqual(copy.bytes, Buffer.alloc(10));
});

test('a device has no size', () => {
  assert.throws(() => map('/dev/zero'), {
    code: 'ERR_OUT_OF_RANGE',
    message: /"options\.length".*character device/,
  });
});

test('a device that cannot be mapped', () => {
  assert.throws(() => map('/dev/null', { length: 10 }), { code: 'ENODEV' });
});

test('nothing, and not a descriptor', () => {
  const missing = temporaryPath();
  assert.throws(() => map(missing), { code: 'ENOENT', path: missing, syscall: 'open' });
  const create = { code: 'ENOENT', hint: /create: true/ };
  assert.throws(() => map(missing, { access: 'write' }), create);
  assert.throws(() => map(''), { code: 'ENOENT' });
  assert.throws(() => map(`${temporaryFile(1)}/x`), { code: 'ENOTDIR' });
  assert.throws(() => map(2 ** 31 - 1), { code: 'EBADF', hint: /descriptor was closed/ });
});

test('a descriptor needs the right for the access', () => {
  const path = temporaryFile(10);
  const reading = openSync(path, 'r');
  const writing = openSync(path, 'a');
  map(reading, { access: 'copy' }).close();
  const hint = /'r\+'/;
  assert.throws(() => map(reading, { access: 'write' }), { code: 'EACCES', hint });
  for (const access of ['read', 'write', 'copy'] as const) {
    assert.throws(() => map(writing, { access }), { code: 'EACCES', hint: /reading/ });
  }
});

test('a refusal leaves no descriptor open and the file as it was', () => {
  const path = temporaryFile('content');
  const before = openDescriptors();
  assert.throws(() => map(path, { access: 'write', offset: 100 }));
  assert.throws(() => map(temporaryDirectory()));
  assert.throws(() => map('/dev/null', { length: 1 }));
  assert.throws(() => anonymous(2 ** 50));
  assert.equal(openDescriptors(), before);
  assert.equal(readFileSync(path, 'utf8'), 'content');
});
