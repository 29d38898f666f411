/**
 * What the library promises, on every runtime: each line is a capability, and exactly the expected
 * ones may be unsupported.
 *
 *   smoke.js DIRECTORY [--all-permissions]   files are made in the directory; on Deno with -A
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import {
  anonymous,
  type FaultError,
  Mapping,
  type MappingHandle,
  map,
  mapIntoWasm,
  pageSize,
} from 'memmap';
import { SharedMemory } from 'memmap/shared';
import { Instance, Memory, Module } from '../support/wasm.ts';
import { check, collect, collectUntil, finish, runtime, turn, Unsupported } from './runtime.ts';

const [directory = '.', ...flags] = process.argv.slice(2);
const isRestricted = runtime === 'deno' && !flags.includes('--all-permissions');
const page = pageSize;
let count = 0;

/** A new file of some pages, of which each byte tells its place. */
function file(pages = 4): string {
  const path = join(directory, `${++count}.bin`);
  writeFileSync(
    path,
    Uint8Array.from({ length: pages * page }, (_, at) => at % 251),
  );
  return path;
}

/** What `run` throws, which must have this code. */
function thrown(code: string, run: () => unknown): FaultError {
  try {
    run();
  } catch (error) {
    assert.equal((error as FaultError).code, code, String(error));
    return error as FaultError;
  }
  assert.fail(`nothing was thrown, where ${code} should be`);
}

/** A worker with its messages: one at a time. */
function startWorker(data: unknown) {
  const worker = new Worker(new URL('./smoke-worker.js', import.meta.url), { workerData: data });
  const answer = () =>
    new Promise<unknown>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
  return { worker, answer };
}

// -- mappings ----------------------------------------------------------------------------------

await check('map', () => {
  const path = file();
  const mapping = map(path);
  assert.equal(mapping.byteLength, 4 * page);
  assert.ok(mapping.address > 0n);
  assert.deepEqual(new Uint8Array(mapping.bytes), new Uint8Array(readFileSync(path)));
  mapping.close();
});

await check('map by descriptor', async () => {
  const path = file();
  const fd = openSync(path, 'r');
  const mapping = map(fd);
  closeSync(fd);
  assert.equal(mapping.bytes[1], 1);
  const handle = await open(path);
  const other = map(handle);
  await handle.close();
  assert.equal(other.bytes[1], 1);
});

await check('bytes, view, dataView, window', () => {
  const mapping = map(file(), { access: 'write' });
  assert.equal(mapping.bytes, mapping.bytes);
  mapping.view(Float64Array, 8, 1)[0] = 1.5;
  assert.equal(mapping.dataView(8).getFloat64(0, true), 1.5);
  const window = mapping.window(page, 100);
  assert.equal(window.buffer.byteLength, 100);
  window[0] = 42;
  assert.equal(mapping.bytes[page], 42);
  assert.equal(map(file(), { offset: 3, length: 5 }).bytes[0], 3);
});

await check('store and flush', async () => {
  const path = file();
  const mapping = map(path, { access: 'write' });
  mapping.bytes[0] = 200;
  mapping.flushSync();
  mapping.bytes[page] = 201;
  let done = 0;
  const onProgress = (progress: { done: number }) => {
    done = progress.done;
  };
  await mapping.flush(undefined, { onProgress });
  assert.ok(done <= 4 * page);
  assert.deepEqual([readFileSync(path)[0], readFileSync(path)[page]], [200, 201]);
});

await check('copy', () => {
  const path = file();
  const mapping = map(path, { access: 'copy' });
  mapping.bytes[0] = 200;
  assert.equal(readFileSync(path)[0], 0);
  thrown('ERR_MEMMAP_UNSUPPORTED', () => mapping.flushSync());
});

await check('read and write', () => {
  const path = file();
  const mapping = map(path, { access: 'write' });
  const target = new Uint8Array(10);
  assert.equal(mapping.read(target, 5), 10);
  assert.equal(target[0], 5);
  assert.equal(mapping.write(new Uint8Array([1, 2, 3]), 4 * page - 2), 2);
  truncateSync(path, page);
  assert.equal(mapping.read(target, page - 4), 4);
  thrown('ERR_MEMMAP_READ_ONLY', () => map(path).write(target));
});

await check('anonymous', () => {
  const mapping = anonymous(3 * page);
  mapping.bytes.fill(7);
  assert.equal(mapping.bytes[3 * page - 1], 7);
});

await check('advise, residency, prefetch, evict', async () => {
  const mapping = map(file(16));
  mapping.advise('sequential');
  assert.equal((await mapping.prefetch()).pages, 16);
  assert.equal((await mapping.evict()).pages, 16);
  assert.equal(mapping.residency({ offset: 0, length: 1 }).pages, 1);
});

await check('lock and protect', () => {
  const mapping = anonymous(4 * page);
  mapping.lock({ offset: 0, length: page });
  mapping.unlock();
  mapping.protect('read');
  mapping.withAccess('write', ({ bytes }) => bytes.fill(1, 0, 1));
  assert.equal(mapping.bytes[0], 1);
});

await check('resize', () => {
  const path = file();
  const mapping = map(path, { access: 'write' });
  const before = mapping.bytes;
  mapping.resize(8 * page);
  assert.equal(before.byteLength, 0);
  mapping.bytes[7 * page] = 9;
  assert.equal(readFileSync(path)[7 * page], 9);
});

await check('resize with capacity', () => {
  const path = file();
  const mapping = map(path, { access: 'write', capacity: 64 * page });
  const before = mapping.bytes;
  mapping.resize(64 * page);
  assert.equal(before.byteLength, 4 * page);
  before[0] = 77;
  assert.equal(mapping.bytes[0], 77);
  assert.equal(readFileSync(path).length, 64 * page);
});

await check('close detaches', () => {
  const mapping = map(file());
  const { bytes, buffer } = mapping;
  const window = mapping.window(1, 10);
  mapping.close();
  mapping.close();
  assert.deepEqual([bytes.length, buffer.byteLength, window.length], [0, 0, 0]);
  thrown('ERR_MEMMAP_CLOSED', () => mapping.bytes);
});

await check('structuredClone(mapping) throws', () => {
  const mapping = map(file());
  // Deno wraps what a getter throws into no other error; its name may differ all the same.
  assert.throws(() => structuredClone(mapping));
  assert.equal(mapping.bytes[1], 1);
});

await check('collector closes a forgotten mapping', async () => {
  let collected = 0;
  const registry = new FinalizationRegistry(() => void collected++);
  const make = () => {
    const mapping = map(file());
    assert.equal(mapping.bytes[1], 1);
    registry.register(mapping, 0);
  };
  for (let i = 0; i < 20; i++) make();
  await collectUntil(() => collected >= 15, 'mappings are collected');
});

// -- faults ------------------------------------------------------------------------------------

await check('fault: load behind a truncated file', () => {
  const path = file();
  const mapping = map(path, { access: 'write' });
  assert.equal(mapping.bytes[3 * page], (3 * page) % 251);
  truncateSync(path, page);
  assert.equal(mapping.bytes[3 * page], 0);
  const fault = thrown('ERR_MEMMAP_TRUNCATED', () => mapping.check());
  assert.deepEqual([fault.offset, fault.access, fault.count], [3 * page, 'read', 1]);
  mapping.check();
  assert.equal(mapping.bytes[1], 1);
});

await check('fault: store in read-only pages', () => {
  const path = file();
  const mapping = map(path);
  const fault = thrown('ERR_MEMMAP_READ_ONLY', () => mapping.guard(({ bytes }) => bytes.fill(9)));
  assert.equal(fault.access, 'write');
  assert.equal(mapping.bytes[2], 2);
  assert.equal(readFileSync(path)[2], 2);
});

await check('fault: no access', () => {
  const mapping = anonymous(4 * page, { access: 'none' });
  assert.equal(mapping.guard.length, 1);
  thrown('ERR_MEMMAP_NO_ACCESS', () => mapping.guard(({ bytes }) => bytes[page]));
});

await check('fault: storm', () => {
  const path = file(256);
  const mapping = map(path, { access: 'write' });
  const { bytes } = mapping;
  truncateSync(path, 0);
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 64) sum += bytes[at] as number;
  assert.equal(sum, 0);
  thrown('ERR_MEMMAP_TRUNCATED', () => mapping.check());
});

await check("fault: 'fault' event", async () => {
  const mapping = map(file());
  const codes: string[] = [];
  mapping.on('fault', ({ code }) => void codes.push(code));
  mapping.bytes[0] = 1;
  while (codes.length === 0) await turn(1); // a fault that is on its way keeps no loop alive
  assert.deepEqual(codes, ['ERR_MEMMAP_READ_ONLY']);
  assert.equal(mapping.bytes[0], 0);
});

await check('fault: stack overflow is still a RangeError', () => {
  const dive = (depth: number): number => 1 + dive(depth + 1);
  assert.throws(() => dive(0), RangeError);
});

await check('fault: WebAssembly still traps', () => {
  // (module (memory 1) (func (export "f") (param i32) (result i32) local.get 0 i32.load))
  const code = Uint8Array.from([
    0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 127, 1, 127, 3, 2, 1, 0, 5, 3, 1, 0, 1, 7, 5, 1, 1,
    102, 0, 0, 10, 9, 1, 7, 0, 32, 0, 40, 2, 0, 11,
  ]);
  const { f } = new Instance(new Module(code), {}).exports as { f(at: number): number };
  assert.throws(() => f(0x7fffffff), { name: 'RuntimeError' });
});

/** Runs ending.js in a process of this runtime. */
function ending(how: string) {
  const script = fileURLToPath(new URL('./ending.js', import.meta.url));
  const flags = ['run', '--quiet', '--allow-ffi', '--allow-read'];
  const args = [...(runtime === 'deno' ? flags : []), script, file(), how];
  const options = { encoding: 'utf8', env: {} } as const; // Deno asks before it passes its own on
  const { status, stdout, stderr } = spawnSync(process.execPath, args, options);
  assert.equal(stdout, '');
  return { status, stderr };
}

for (const how of ['natural', 'exit']) {
  await check(`fault: told at the end of the process (${how})`, () => {
    const { status, stderr } = ending(how);
    // Bun turns its event loop once more before it ends; then it is an uncaught exception.
    assert.match(stderr, /Cannot write byte 0 of .*: the pages are read-only/);
    assert.equal(status, 1);
  });
}

await check('fault: without a listener it is an uncaught exception', () => {
  const { status, stderr } = ending('event');
  assert.match(stderr, /Cannot write byte 0 of .*: the pages are read-only/);
  assert.notEqual(status, 0);
});

// -- threads -----------------------------------------------------------------------------------

await check('shared mapping', () => {
  const path = file();
  const mapping = map(path, { access: 'write', shared: true });
  assert.ok(mapping.buffer instanceof SharedArrayBuffer);
  new Uint8Array(mapping.buffer)[1] = 99;
  assert.equal(readFileSync(path)[1], 99);
  assert.equal(
    Atomics.add(mapping.view(Int32Array), 2, 1),
    (mapping.view(Int32Array)[2] as number) - 1,
  );
  const { buffer } = mapping;
  mapping.close();
  assert.equal(new Uint8Array(buffer)[1], 0);
  assert.equal(readFileSync(path)[1], 99);
});

await check('workers: share and attach', async () => {
  const path = file();
  const mapping = map(path, { access: 'write', shared: true });
  const words = mapping.view(Int32Array);
  words.fill(0);
  const handle = mapping.share();
  const workers = [1, 2].map(() => startWorker({ role: 'add', handle, times: 10_000 }));
  const answers = await Promise.all(workers.map(({ answer }) => answer()));
  assert.deepEqual(answers, ['done', 'done']);
  assert.equal(Atomics.load(words, 0), 20_000);
  await Promise.all(workers.map(({ worker }) => worker.terminate()));
  words[1] = 5;
  assert.equal(readFileSync(path).readInt32LE(4), 5);
});

await check('workers: wait and notify', async () => {
  const mapping = anonymous(page, { shared: true });
  const words = mapping.view(Int32Array);
  const { worker, answer } = startWorker({ role: 'wait', handle: mapping.share() });
  const answered = answer();
  while (Atomics.notify(words, 0) === 0) await turn(1);
  assert.equal(await answered, 'ok');
  await worker.terminate();
});

await check('workers: a fault is told to the thread that met it', async () => {
  const path = file();
  const mapping = map(path, { access: 'write', shared: true });
  truncateSync(path, 0);
  const told: string[] = [];
  mapping.on('fault', ({ code }) => void told.push(code));
  const { worker, answer } = startWorker({ role: 'fault', handle: mapping.share() });
  assert.equal(await answer(), 'ERR_MEMMAP_TRUNCATED');
  await worker.terminate();
  await turn();
  assert.deepEqual(told, []);
});

await check('workers: the mapping outlives its thread', async () => {
  const path = file();
  const { worker, answer } = startWorker({ role: 'make', path });
  const mapping = Mapping.attach((await answer()) as MappingHandle);
  await worker.terminate();
  collect();
  new Uint8Array(mapping.buffer)[0] = 123;
  assert.equal(readFileSync(path)[0], 123);
  mapping.close();
});

await check('workers: attach after close', async () => {
  const mapping = map(file(), { shared: true });
  const handle = mapping.share();
  mapping.close();
  thrown('ERR_MEMMAP_CLOSED', () => Mapping.attach(handle));
});

await check('SharedMemory.anonymous, adopt', () => {
  const memory = SharedMemory.anonymous(page);
  memory.view(Int32Array)[0] = 7;
  assert.equal(SharedMemory.adopt(memory.fd).view(Int32Array)[0], 7);
});

await check('SharedMemory by name', () => {
  const name = `/memmap-smoke-${process.pid}`;
  const memory = SharedMemory.create(name, page);
  try {
    memory.view(Int32Array)[0] = 7;
    assert.equal(SharedMemory.open(name).view(Int32Array)[0], 7);
    assert.ok(SharedMemory.list().some((entry) => entry.name === name));
  } finally {
    SharedMemory.unlink(name);
  }
});

// -- WebAssembly, large mappings ----------------------------------------------------------------

await check('mapIntoWasm', () => {
  const path = file(16);
  const memory = new Memory({ initial: 4, maximum: 8 });
  const mapping = mapIntoWasm(memory, path, { at: 65536, access: 'write' });
  new Uint8Array(memory.buffer)[65536 + 1] = 55;
  assert.equal(readFileSync(path)[1], 55);
  memory.grow(1);
  assert.equal(mapping.bytes[1], 55);
  mapping.close();
  assert.equal(new Uint8Array(memory.buffer)[65536 + 1], 0);
  assert.equal(readFileSync(path)[1], 55);
});

await check('windows far behind 4 GiB', () => {
  const path = file();
  truncateSync(path, 5 * 2 ** 30);
  const mapping = map(path, { access: 'write' });
  const window = mapping.window(4.5 * 2 ** 30, page);
  window[0] = 3;
  assert.equal(map(path).window(4.5 * 2 ** 30, 1)[0], 3);
});

for (const shared of [false, true]) {
  await check(`${shared ? 'shared buffers' : 'buffers'} of more than 4 GiB`, () => {
    const path = file();
    truncateSync(path, 5 * 2 ** 30);
    try {
      const mapping = map(path, { access: 'write', shared });
      const bytes = new Uint8Array(mapping.buffer);
      bytes[4.5 * 2 ** 30] = 3;
      assert.equal(map(path).window(4.5 * 2 ** 30, 1)[0], 3);
    } catch (error) {
      // A limit of the engine, told before anything happens.
      if (!(error instanceof RangeError)) throw error;
      assert.match(error.message, /the largest (Shared)?(Array)?[Bb]uffer of this runtime/);
      throw new Unsupported(error.message);
    }
  });
}

// -- the end ------------------------------------------------------------------------------------

const large = ['buffers of more than 4 GiB', 'shared buffers of more than 4 GiB'];
const major = Number(process.versions.node.split('.')[0]);
const expected = {
  node: major < 22 ? large : [],
  bun: ['mapIntoWasm', ...large],
  deno: isRestricted ? ['SharedMemory by name'] : [],
}[runtime];
finish(expected);
