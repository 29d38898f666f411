import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, statSync, symlinkSync, unlinkSync } from 'node:fs';
import { after, test } from 'node:test';
import { map, pageSize } from 'memmap';
import { SharedMemory } from 'memmap/shared';
import { temporaryFile } from '../../support/temporary.ts';

const prefix = `/memmap-test-${process.pid}`;
let count = 0;
const made: string[] = [];

function freshName(): string {
  const name = `${prefix}-${++count}`;
  made.push(name);
  return name;
}

after(() => {
  for (const name of made) if (existsSync(`/dev/shm${name}`)) unlinkSync(`/dev/shm${name}`);
});

test('what one mapping stores another one of the same name loads', () => {
  const name = freshName();
  using first = SharedMemory.create(name, 100);
  using second = SharedMemory.open(name);
  first.bytes.write('hello');
  assert.equal(second.bytes.toString('latin1', 0, 5), 'hello');
  assert.equal(first.shared, true);
  assert.ok(second.buffer instanceof SharedArrayBuffer);
  assert.equal(first.access, 'write');
  assert.equal(second.access, 'read');
  assert.equal(second.byteLength, 100, 'the size is read back');
});

test('a name is created once, with its mode', () => {
  const name = freshName();
  using memory = SharedMemory.create(name, pageSize, { mode: 0o640 });
  assert.equal(memory.byteLength, pageSize);
  assert.equal(statSync(`/dev/shm${name}`).mode & 0o777, 0o640);
  assert.throws(() => SharedMemory.create(name, pageSize), { code: 'EEXIST', hint: /open/ });
  using again = SharedMemory.create(name, 2 * pageSize, { exclusive: false });
  assert.equal(again.byteLength, 2 * pageSize);
});

test('opening and unlinking what is not there is ENOENT with a hint', () => {
  const name = freshName();
  assert.throws(() => SharedMemory.open(name), { code: 'ENOENT', hint: /created/ });
  assert.throws(() => SharedMemory.unlink(name), { code: 'ENOENT' });
});

test('unlinking takes the name away and leaves the memory to those who have it', () => {
  const name = freshName();
  using memory = SharedMemory.create(name, pageSize);
  SharedMemory.unlink(name);
  memory.bytes[0] = 7;
  assert.equal(memory.bytes[0], 7);
  assert.throws(() => SharedMemory.open(name), { code: 'ENOENT' });
});

test('names are checked before anything happens', () => {
  const names = ['x', '', '/', '/a/b', '/.', '/..', '/a\0b', `/${'x'.repeat(256)}`, 5, null];
  for (const name of names as string[]) {
    const isRefused = { code: 'ERR_INVALID_ARG_TYPE', name: 'TypeError' };
    assert.throws(() => SharedMemory.create(name, 1), isRefused, String(name));
    assert.throws(() => SharedMemory.open(name), isRefused);
    assert.throws(() => SharedMemory.unlink(name), isRefused);
  }
  const name = freshName();
  assert.throws(() => SharedMemory.create(name, -1), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => SharedMemory.create(name, 1, { mode: 0o10000 }), {
    code: 'ERR_OUT_OF_RANGE',
  });
  assert.equal(existsSync(`/dev/shm${name}`), false);
});

test('a symbolic link in the place of an object is not followed', () => {
  const name = freshName();
  symlinkSync(temporaryFile(10), `/dev/shm${name}`);
  assert.throws(() => SharedMemory.open(name), { code: 'ELOOP' });
});

test('a creation that fails leaves no name behind', () => {
  const name = freshName();
  assert.throws(() => SharedMemory.create(name, 2 ** 50));
  assert.equal(existsSync(`/dev/shm${name}`), false);
});

test('an object with a capacity grows where it is', () => {
  const name = freshName();
  using memory = SharedMemory.create(name, pageSize, { capacity: 16 * pageSize });
  const { address, buffer } = memory;
  memory.resize(4 * pageSize);
  memory.bytes[4 * pageSize - 1] = 9;
  assert.equal(memory.address, address);
  assert.equal(memory.buffer, buffer);
  using other = SharedMemory.open(name);
  assert.equal(other.byteLength, 4 * pageSize);
  assert.equal(other.bytes[4 * pageSize - 1], 9);
});

test('anonymous shared memory has a descriptor that cannot be shortened', () => {
  using memory = SharedMemory.anonymous(3 * pageSize);
  assert.ok(memory.fd >= 0);
  using adopted = SharedMemory.adopt(memory.fd);
  memory.bytes[pageSize] = 5;
  assert.equal(adopted.bytes[pageSize], 5);
  assert.equal(adopted.byteLength, 3 * pageSize);
  using opened = map(`/proc/${process.pid}/fd/${memory.fd}`, { shared: true });
  assert.equal(opened.bytes[pageSize], 5);
  assert.throws(() => SharedMemory.adopt(2 ** 30), { code: 'EBADF' });
  assert.throws(() => SharedMemory.adopt('3' as never), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('the list names each object and who holds it', () => {
  const name = freshName();
  using memory = SharedMemory.create(name, pageSize);
  const entry = SharedMemory.list().find((each) => each.name === name);
  assert.equal(entry?.byteLength, pageSize);
  assert.ok(entry?.holders?.includes(process.pid));
  memory.close();
  const left = SharedMemory.list().find((each) => each.name === name);
  assert.ok(left?.holders === null || left?.holders.length === 0);
});

test('a FIFO in the place of shared memory is refused, and not waited for', () => {
  const name = freshName();
  const { status } = spawnSync('mkfifo', [`/dev/shm${name}`]);
  assert.equal(status, 0);
  for (const access of ['read', 'write'] as const) {
    assert.throws(() => SharedMemory.open(name, { access }), { code: 'ENODEV' });
  }
  assert.throws(() => SharedMemory.create(name, 100, { exclusive: false }), { code: 'ENODEV' });
});
