import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { after, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Mapping, map, pageSize } from 'memmap';
import { SharedMemory } from 'memmap/shared';
import { temporaryDirectory, temporaryFile } from '../../support/temporary.ts';

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

test('messages call an object by its path, and not by the descriptor it was mapped with', () => {
  const name = freshName();
  const path = `/dev/shm${name}`;
  using memory = SharedMemory.create(name, pageSize);
  assert.equal(memory.path, path);
  using reader = SharedMemory.open(name);
  assert.equal(reader.path, path);
  assert.throws(() => reader.write(Buffer.from('x'), 0), {
    code: 'ERR_MEMMAP_READ_ONLY',
    path,
    message: new RegExp(path),
  });
  truncateSync(path, 0);
  assert.equal(reader.bytes[0], 0);
  assert.throws(() => reader.check(), { code: 'ERR_MEMMAP_TRUNCATED', path });
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

test('anonymous shared memory is as long as was asked for, wherever it is opened', () => {
  using memory = SharedMemory.anonymous(5000, { capacity: 3 * 5000 });
  using same = SharedMemory.adopt(memory.fd);
  assert.equal(same.byteLength, 5000);
  memory.resize(7001);
  using longer = map(`/proc/self/fd/${memory.fd}`);
  assert.equal(longer.byteLength, 7001);
  memory.bytes[7000] = 5;
  assert.equal(longer.bytes[7000], 5);
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

test('an empty shared mapping has a size for good, as others without capacity', () => {
  const path = temporaryFile('');
  using mapping = map(path, { access: 'write', shared: true });
  assert.throws(() => mapping.resize(8192), { code: 'ERR_MEMMAP_UNSUPPORTED' });
  assert.equal(mapping.byteLength, 0);
  assert.equal(statSync(path).size, 0);
  using same = Mapping.attach(mapping.share());
  assert.equal(same.bytes.length, 0);
  const forged = { ...mapping.share(), buffer: new SharedArrayBuffer(4096) };
  assert.throws(() => Mapping.attach(forged), { code: 'ERR_INVALID_ARG_TYPE' });
  using grows = map(path, { access: 'write', shared: true, capacity: 65536 });
  grows.resize(8192);
  grows.bytes[8191] = 5;
  assert.equal(readFileSync(path)[8191], 5);
});

test('holders are told of objects with any name, and of no file elsewhere', () => {
  const odd = Buffer.concat([Buffer.from(`/dev/shm${prefix}-`), Buffer.from([0xff, 10, 0xfe])]);
  writeFileSync(odd, 'odd');
  try {
    using mapping = map(openSync(odd, 'r'));
    const entry = SharedMemory.list().find(({ name }) => name.startsWith(`${prefix}-\ufffd`));
    assert.equal(entry?.byteLength, 3);
    assert.ok(entry?.holders?.includes(process.pid));
    assert.equal(mapping.byteLength, 3);
  } finally {
    unlinkSync(odd);
  }
  const name = freshName();
  using object = SharedMemory.create(name, 10);
  const folder = temporaryDirectory();
  mkdirSync(`${folder}/dev/shm`, { recursive: true });
  writeFileSync(`${folder}/dev/shm${name}-other`, 'x');
  writeFileSync(`/dev/shm${name}-other`, 'x');
  try {
    using elsewhere = map(`${folder}/dev/shm${name}-other`);
    const entry = SharedMemory.list().find((other) => other.name === `${name}-other`);
    assert.ok(entry);
    assert.ok(!entry.holders?.includes(process.pid));
    assert.equal(elsewhere.byteLength + object.byteLength, 11);
  } finally {
    unlinkSync(`/dev/shm${name}-other`);
  }
});

test('a name that others make and unlink all the time can be had by who does not mind', async () => {
  const name = freshName();
  const worker = new Worker(
    `const { workerData: path, parentPort } = require('node:worker_threads');
     const { closeSync, openSync, unlinkSync } = require('node:fs');
     const quietly = (run) => { try { run(); } catch {} };
     const churn = () => {
       for (let i = 0; i < 1000; i++) {
         quietly(() => closeSync(openSync(path, 'wx+')));
         quietly(() => unlinkSync(path));
       }
       setImmediate(churn);
     };
     parentPort.postMessage('ready');
     churn();`,
    { eval: true, workerData: `/dev/shm${name}` },
  );
  await once(worker, 'message');
  for (let i = 0; i < 300; i++) {
    using memory = SharedMemory.create(name, 10, { exclusive: false });
    assert.equal(memory.byteLength, 10);
  }
  await worker.terminate();
});
