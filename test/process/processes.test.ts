import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { unlinkSync } from 'node:fs';
import { test } from 'node:test';
import { map, pageSize } from 'memmap';
import { SharedMemory } from 'memmap/shared';
import { moduleWords, runModule } from '../support/child.ts';
import { temporaryFile } from '../support/temporary.ts';

test('several processes add into one mapping, and every addition counts', async () => {
  const additions = process.env.MEMMAP_EMULATED ? 10_000 : 500_000;
  const path = temporaryFile(Buffer.alloc(pageSize));
  using mapping = map(path, { access: 'write', shared: true });
  const source = `
    import { map } from 'memmap';
    using mapping = map(${JSON.stringify(path)}, { access: 'write', shared: true });
    const words = mapping.view(Int32Array, 0, 1);
    for (let i = 0; i < ${additions}; i++) Atomics.add(words, 0, 1);`.replace('using', 'const');
  const endings = await Promise.all([1, 2, 3, 4].map(() => runModule(source)));
  for (const { code, stderr } of endings) assert.equal(code, 0, stderr);
  assert.equal(mapping.view(Int32Array, 0, 1)[0], 4 * additions);
});

test('a child adopts the descriptor that it was given through stdio', async () => {
  using memory = SharedMemory.anonymous(pageSize);
  memory.bytes.write('parent');
  const source = `
    import { SharedMemory } from 'memmap/shared';
    const memory = SharedMemory.adopt(3);
    if (memory.bytes.toString('latin1', 0, 6) !== 'parent') process.exit(3);
    memory.bytes.write('child ');`;
  const [command, ...words] = moduleWords(source) as [string, ...string[]];
  const child = spawn(command, words, {
    stdio: ['ignore', 'inherit', 'inherit', memory.fd],
  });
  const code = await new Promise((resolve) => child.once('exit', resolve));
  assert.equal(code, 0);
  assert.equal(memory.bytes.toString('latin1', 0, 6), 'child ');
});

test('another process opens it through /proc', async () => {
  using memory = SharedMemory.anonymous(pageSize);
  const source = `
    import { map } from 'memmap';
    const memory = map('/proc/${process.pid}/fd/${memory.fd}', { access: 'write', shared: true });
    memory.bytes[5] = 55;`;
  const { code, stderr } = await runModule(source);
  assert.equal(code, 0, stderr);
  assert.equal(memory.bytes[5], 55);
});

test('python3 shares a named object with us, in both directions', () => {
  const name = `/memmap-python-${process.pid}`;
  using memory = SharedMemory.create(name, pageSize);
  try {
    memory.bytes.write('from node');
    const script = `
import mmap, os
fd = os.open('/dev/shm${name}', os.O_RDWR)
m = mmap.mmap(fd, ${pageSize})
assert m[:9] == b'from node', m[:9]
m[100:111] = b'from python'`;
    const { status, stderr } = spawnSync('python3', ['-c', script], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    assert.equal(memory.bytes.toString('latin1', 100, 111), 'from python');
  } finally {
    SharedMemory.unlink(name);
  }
});

test('what a killed process leaves behind is listed without holders, and can be removed', async () => {
  const name = `/memmap-left-${process.pid}`;
  const source = `
    import { SharedMemory } from 'memmap/shared';
    const memory = SharedMemory.create('${name}', 4096);
    memory.bytes[0] = 1;
    process.kill(process.pid, 'SIGKILL');
    setInterval(() => {}, 1000);`;
  const { signal } = await runModule(source);
  assert.equal(signal, 'SIGKILL');
  const entry = SharedMemory.list().find((each) => each.name === name);
  assert.ok(entry, 'it is there');
  assert.ok(entry.holders === null || entry.holders.length === 0);
  SharedMemory.unlink(name);
  assert.equal(
    SharedMemory.list().some((each) => each.name === name),
    false,
  );
});

test('the same file in several processes costs its pages once', async () => {
  const pages = 256;
  const path = temporaryFile(pages * pageSize);
  using mapping = map(path);
  mapping.bytes.reduce((sum, byte) => sum + byte, 0);
  const source = `
    import { readFileSync } from 'node:fs';
    import { map } from 'memmap';
    const mapping = map(${JSON.stringify(path)});
    mapping.bytes.reduce((sum, byte) => sum + byte, 0);
    const part = readFileSync('/proc/self/smaps', 'utf8').split(${JSON.stringify(path)})[1];
    const value = (name) => Number(new RegExp(name + ': *(\\\\d+)').exec(part)[1]);
    console.log(value('Rss'), value('Pss'));`;
  const { code, stdout, stderr } = await runModule(source);
  assert.equal(code, 0, stderr);
  const [rss, pss] = stdout.trim().split(' ').map(Number) as [number, number];
  assert.equal(rss, (pages * pageSize) / 1024);
  assert.ok(pss <= rss / 2, `${pss} of ${rss} KiB`);
  unlinkSync(path);
});
