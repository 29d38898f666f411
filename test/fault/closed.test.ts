/**
 * Native code that still holds the pointer when the mapping is closed. Each body would be a SIGSEGV
 * if close() were a munmap: the last test does that, and dies.
 */
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import zlib from 'node:zlib';
import { anonymous, type FaultError, type Mapping, map as mapFile, pageSize } from 'memmap';
import { collect, runtime } from '../runtime/runtime.ts';
import { turns, until } from '../support/fault.ts';
import { hazard } from '../support/hazard.ts';
import { lacksProbe, probe } from '../support/probe.ts';
import { pattern, temporaryFile, temporaryPath } from '../support/temporary.ts';

const size = 256 * pageSize;
/** One thread, so that work that is queued behind other work begins after close(). */
const env = { UV_THREADPOOL_SIZE: '1' };
const code = 'ERR_MEMMAP_CLOSED';

/** Keeps the only thread of the pool at work for a while. */
const busy = () => crypto.pbkdf2('', '', 300_000, 32, 'sha512', () => {});

/** Whether nothing but the content or zeros was read. Only of Node's pool is the order known. */
function isCleared(bytes: Buffer, content: Buffer): boolean {
  if (runtime === 'node') return bytes.equals(Buffer.alloc(content.length));
  if (bytes.length !== content.length) return false;
  return bytes.every((byte, at) => byte === 0 || byte === content[at]);
}

function faultsOf(mapping: Mapping): FaultError[] {
  const faults: FaultError[] = [];
  mapping.on('fault', (fault) => faults.push(fault));
  return faults;
}

hazard(
  'zlib reads on the pool after close: zeros',
  async () => {
    const content = pattern(size);
    const mapping = mapFile(temporaryFile(content));
    busy();
    const deflated = promisify(zlib.deflate)(mapping.bytes);
    mapping.close();
    assert.ok(isCleared(zlib.inflateSync(await deflated), content));
  },
  { env },
);

for (const shared of [true, false]) {
  hazard(
    `close() in the middle of deflate, ${shared ? 'of a shared buffer' : 'by detaching'}`,
    async () => {
      const path = temporaryFile(pattern(size));
      for (let round = 0; round < 30; round++) {
        const mapping = mapFile(path, { shared });
        // One chunk holds all output: Node itself ends the process when a detached input is continued
        // (docs/faults.md, what still ends the process).
        const chunkSize = shared ? undefined : 2 * size;
        const works = [1, 5, 9].map((level) =>
          promisify(zlib.deflate)(mapping.bytes, { level, chunkSize }),
        );
        await new Promise((resolve) => setTimeout(resolve, round % 7));
        mapping.close();
        for (const work of works) zlib.inflateSync(await work);
      }
    },
    { env: { UV_THREADPOOL_SIZE: '3' } },
  );
}

hazard(
  'crypto stores on the pool after close: a fault of the closed mapping, by the event',
  async () => {
    const mapping = anonymous(size);
    const faults = faultsOf(mapping);
    busy();
    const filled = promisify(crypto.randomFill)(mapping.bytes);
    mapping.close();
    await filled;
    await until(() => faults.length > 0);
    assert.equal(faults[0]?.code, code);
    assert.equal(faults[0]?.access, 'write');
    assert.notEqual(faults[0]?.thread, process.pid);
    assert.ok(mapping.closed);
  },
  { env },
);

hazard(
  'and without a listener it is an uncaught exception',
  async () => {
    const mapping = anonymous(size);
    busy();
    const filled = promisify(crypto.randomFill)(mapping.bytes);
    mapping.close();
    await filled;
    await turns(1000);
  },
  { env, code: 1, check: ({ stderr }) => assert.match(stderr, /ERR_MEMMAP_CLOSED/) },
);

hazard(
  'crypto.pbkdf2 and scrypt with a password that is closed',
  async () => {
    const mapping = anonymous(size);
    busy();
    const keys = [
      promisify(crypto.pbkdf2)(mapping.bytes, mapping.bytes, 10, 32, 'sha256'),
      promisify(crypto.scrypt)(mapping.bytes, 'salt', 32),
    ];
    mapping.close();
    for (const key of keys) assert.equal(((await key) as Buffer).length, 32);
  },
  { env },
);

hazard(
  'fs.write of a closed mapping writes zeros; fs.read into it is EFAULT',
  async () => {
    const content = pattern(size);
    const mapping = mapFile(temporaryFile(content), { access: 'write' });
    const path = temporaryPath();
    const out = fs.openSync(path, 'w');
    const source = fs.openSync(temporaryFile(pattern(size, 1)), 'r');
    busy();
    const written = promisify(fs.write)(out, mapping.bytes);
    const reading = promisify(fs.read)(source, mapping.bytes, 0, size, 0).catch((error) => error);
    mapping.close();
    assert.equal((await written).bytesWritten, size);
    assert.ok(isCleared(fs.readFileSync(path), content));
    const read = await reading;
    if (runtime === 'node' || read instanceof Error) assert.equal(read.code, 'EFAULT');
  },
  { env },
);

hazard(
  'a resize that moves, while the pool reads and stores the old place',
  async () => {
    const content = pattern(size);
    const mapping = mapFile(temporaryFile(content), { access: 'write' });
    const faults = faultsOf(mapping);
    busy();
    const deflated = promisify(zlib.deflate)(mapping.bytes);
    const filled = promisify(crypto.randomFill)(mapping.bytes);
    mapping.resize(2 * size);
    assert.ok(isCleared(zlib.inflateSync(await deflated), content));
    await filled;
    await until(() => faults.length > 0);
    assert.equal(faults[0]?.code, code);
    assert.ok(mapping.bytes.subarray(0, size).equals(content));
    mapping.check();
  },
  { env },
);

type Transferable = ArrayBuffer & { transfer?(): ArrayBuffer };
const lacksTransfer =
  !('transfer' in ArrayBuffer.prototype) &&
  `Node ${process.versions.node} has no ArrayBuffer.prototype.transfer; it came with 22`;

hazard(
  'ArrayBuffer.prototype.transfer keeps a length after close: zeros, and stores are faults',
  async () => {
    const mapping = mapFile(temporaryFile(pattern(size)), { access: 'write' });
    const faults = faultsOf(mapping);
    const moved = (mapping.buffer as Transferable).transfer?.() as ArrayBuffer;
    assert.equal(moved.byteLength, size);
    mapping.close();
    const bytes = Buffer.from(moved);
    assert.ok(bytes.equals(Buffer.alloc(moved.byteLength)));
    bytes.fill(1);
    if (moved.byteLength > 0) {
      await until(() => faults.length > 0);
      assert.equal(faults[0]?.code, code);
    }
  },
  { lacks: lacksTransfer },
);

hazard('structuredClone with transfer, then close', async () => {
  const content = pattern(size);
  const mapping = mapFile(temporaryFile(content), { access: 'write' });
  const faults = faultsOf(mapping);
  let bytes = Buffer.alloc(0);
  try {
    const buffer = mapping.buffer as ArrayBuffer;
    bytes = Buffer.from(structuredClone(buffer, { transfer: [buffer] }));
  } catch (error) {
    assert.equal((error as Error).name, 'DataCloneError');
  }
  mapping.close();
  collect();
  // It is a copy, or the memory itself.
  assert.ok(bytes.equals(content.subarray(0, bytes.length)) || bytes.every((byte) => byte === 0));
  bytes.fill(1);
  await turns();
  for (const fault of faults) assert.equal(fault.code, code);
});

hazard('a buffer that was transferred to a worker, then closed', async () => {
  const mapping = mapFile(temporaryFile(pattern(size)), { access: 'write' });
  const faults = faultsOf(mapping);
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads');
     parentPort.on('message', ({ buffer, round }) => {
       const bytes = new Uint8Array(buffer);
       let sum = 0;
       for (const byte of bytes) sum += byte;
       bytes.fill(round);
       parentPort.postMessage(sum);
     });`,
    { eval: true },
  );
  const { buffer } = mapping;
  for (let round = 0; round < 3; round++) {
    try {
      worker.postMessage({ buffer, round }, round === 0 ? [buffer as ArrayBuffer] : []);
    } catch (error) {
      assert.equal((error as Error).name, 'DataCloneError');
      continue;
    }
    mapping.close();
    await new Promise((resolve) => worker.once('message', resolve));
  }
  await worker.terminate();
  collect();
  await turns();
  for (const fault of faults) assert.equal(fault.code, code);
});

hazard('a shared buffer after the last close: zeros, and stores are faults', async () => {
  const mapping = mapFile(temporaryFile(pattern(size)), { access: 'write', shared: true });
  const faults = faultsOf(mapping);
  const bytes = new Uint8Array(mapping.buffer, 0, size);
  mapping.close();
  assert.equal(bytes.length, size);
  assert.ok(bytes.every((byte) => byte === 0));
  bytes[1] = 1;
  await until(() => faults.length > 0);
  assert.equal(faults[0]?.code, code);
  bytes.fill(1);
  await until(() => faults.length > 1);
  assert.equal(fs.readFileSync(mapping.path as string)[1], pattern(size)[1]);
});

hazard('everything after close', () => {
  const mapping = mapFile(temporaryFile(pattern(size)), { access: 'write' });
  const { bytes } = mapping;
  const window = mapping.window(7, 100);
  const view = mapping.view(Float64Array);
  const data = mapping.dataView();
  mapping.close();
  mapping.close();
  assert.deepEqual([bytes.length, window.length, view.length], [0, 0, 0]);
  assert.throws(() => data.getInt8(0), TypeError);
  assert.equal(bytes[0], undefined);
  bytes[0] = 1;
  assert.equal(mapping.byteLength, 0);
  for (const run of [
    () => mapping.check(),
    () => mapping.read(Buffer.alloc(1)),
    () => mapping.write(Buffer.alloc(1)),
    () => mapping.flushSync(),
    () => mapping.guard(() => {}),
    () => mapping.bytes,
  ]) {
    assert.throws(run, { code });
  }
});

hazard(
  'the naive way: a munmap under the same work is a SIGSEGV',
  async () => {
    const mapping = mapFile(temporaryFile(pattern(size)));
    const { unmap } = probe();
    busy();
    const deflated = promisify(zlib.deflate)(mapping.bytes);
    unmap(mapping.address, BigInt(size));
    await deflated;
  },
  { env, lacks: lacksProbe, signal: 'SIGSEGV' },
);
