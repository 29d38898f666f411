/**
 * Whatever touches the memory: interpreter, optimised code, the engine's own functions, Node's
 * native code, system calls, WebAssembly and other threads. Each sees zeros behind the end of a cut
 * file (its result is that of ordinary memory with the same bytes), and the fault is told.
 */
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import zlib from 'node:zlib';
import { FaultError, type Mapping, map, pageSize } from 'memmap';
import { runtime } from '../runtime/runtime.ts';
import { faultOf, pendingFault, until } from '../support/fault.ts';
import { hazard } from '../support/hazard.ts';
import { pattern, temporaryFile, temporaryPath } from '../support/temporary.ts';
import { instantiate, Memory } from '../support/wasm.ts';

const page = pageSize;
const size = 8 * page;
const truncated = 'ERR_MEMMAP_TRUNCATED';
const readOnly = 'ERR_MEMMAP_READ_ONLY';

const content = pattern(size);
/** What a mapping of the content shows once the file is cut to three pages. */
const cut = Buffer.alloc(size);
content.copy(cut, 0, 0, 3 * page);

function viewsOf(bytes: Buffer) {
  const { buffer, byteOffset: at, byteLength: length } = bytes;
  return {
    doubles: new Float64Array(buffer, at, length / 8),
    words: new Int32Array(buffer, at, length / 4),
    longs: new BigInt64Array(buffer, at, length / 8),
    data: new DataView(buffer, at, length),
  };
}

/** Optimised by the time it ends: it runs a million times. */
function sumOf(values: Float64Array | Buffer): number {
  let sum = 0;
  for (const value of values) sum += value > -1e300 && value < 1e300 ? value : 1;
  return sum;
}
function hot(values: Float64Array | Buffer): number[] {
  return Array.from({ length: 50 }, () => sumOf(values));
}

type Read = (bytes: Buffer) => unknown;
const reads: Record<string, Read> = {
  'a loop in optimised code': hot,
  'a loop over doubles in optimised code': (bytes) => hot(viewsOf(bytes).doubles),
  DataView: (bytes) => {
    const { data } = viewsOf(bytes);
    const { byteLength: length } = data;
    return [data.getInt8(length - 1), data.getFloat64(length - 8), data.getBigUint64(length - 9)];
  },
  'DataView across the end': (bytes) => viewsOf(bytes).data.getBigUint64(3 * page - 3),
  'Atomics.load': (bytes) => Atomics.load(viewsOf(bytes).words, size / 4 - 1),
  'Atomics.load of 64 bits': (bytes) => Atomics.load(viewsOf(bytes).longs, size / 8 - 1),
  'Buffer.copy': (bytes) => {
    const target = Buffer.alloc(size);
    bytes.copy(target);
    return target;
  },
  'Buffer.from': (bytes) => Buffer.from(bytes),
  'Buffer.concat': (bytes) => Buffer.concat([bytes, bytes]),
  'Buffer.indexOf': (bytes) => [bytes.indexOf('nowhere'), bytes.indexOf(Buffer.alloc(64))],
  'Buffer.lastIndexOf': (bytes) => bytes.lastIndexOf(content.subarray(0, 99)),
  'Buffer.includes of a byte': (bytes) => bytes.indexOf(0, 3 * page),
  'Buffer.compare': (bytes) => [bytes.compare(content), content.compare(bytes)],
  'Buffer.equals': (bytes) => [bytes.equals(content), bytes.equals(cut)],
  'Buffer.readDoubleLE': (bytes) => bytes.readDoubleLE(size - 8),
  timingSafeEqual: (bytes) => crypto.timingSafeEqual(bytes, content),
  TextDecoder: (bytes) => new TextDecoder('latin1').decode(bytes),
  'TextDecoder of UTF-8': (bytes) => new TextDecoder().decode(bytes),
  slice: (bytes) => Uint8Array.prototype.slice.call(bytes),
  'TypedArray.set': (bytes) => {
    const target = new Uint8Array(size);
    target.set(bytes);
    return target;
  },
  'TypedArray.join': (bytes) => viewsOf(bytes).words.join(),
  'TypedArray.find': (bytes) => viewsOf(bytes).words.findLastIndex((word) => word !== 0),
  spread: (bytes) => [...bytes],
  structuredClone: (bytes) =>
    Buffer.from(structuredClone(new Uint8Array(bytes.buffer, bytes.byteOffset, size))),
  'JSON.stringify': (bytes) => JSON.stringify(bytes),
  'crypto hash': (bytes) => crypto.createHash('sha256').update(bytes).digest('hex'),
  'crypto hmac': (bytes) => crypto.createHmac('sha512', bytes).update(bytes).digest('hex'),
  'crypto cipher': (bytes) =>
    crypto.createCipheriv('aes-128-gcm', 'k'.repeat(16), 'i').update(bytes),
  'zlib.deflateSync': (bytes) => zlib.deflateSync(bytes),
  'zlib.brotliCompressSync': (bytes) => zlib.brotliCompressSync(bytes),
  'WebAssembly memory set': (bytes) => {
    const memory = new Memory({ initial: 1 });
    new Uint8Array(memory.buffer).set(bytes);
    return instantiate(memory).sum(0, size);
  },
  'WebAssembly.validate': (bytes) =>
    (
      globalThis as unknown as { WebAssembly: { validate(b: Buffer): boolean } }
    ).WebAssembly.validate(bytes.subarray(3 * page)),
  'fs.writeFileSync of a copy': (bytes) => {
    const path = temporaryPath();
    fs.writeFileSync(path, Buffer.from(bytes));
    return fs.readFileSync(path);
  },
};
for (const encoding of ['latin1', 'utf8', 'hex', 'base64', 'utf16le', 'ascii'] as const) {
  reads[`Buffer.toString('${encoding}')`] = (bytes) => bytes.toString(encoding);
}

for (const shared of [false, true]) {
  hazard(`every kind of load, of ${shared ? 'shared' : 'plain'} buffers, behind the end`, () => {
    for (const [name, read] of Object.entries(reads)) {
      const path = temporaryFile(content);
      const mapping = map(path, { shared });
      const { bytes } = mapping;
      assert.deepEqual(read(bytes), read(content), `${name} before`);
      mapping.check();
      fs.truncateSync(path, 3 * page);
      const results: unknown[] = [];
      console.log(name);
      const fault = faultOf(truncated, () => mapping.guard(() => results.push(read(bytes))));
      assert.deepEqual(results, [read(cut)], name);
      assert.equal(fault.access, 'read', name);
      assert.ok(fault.offset >= 3 * page, `${name} at ${fault.offset}`);
      fs.writeFileSync(path, content, { flag: 'r+' });
      assert.deepEqual(read(bytes), read(content), `${name} after`);
      mapping.check();
      mapping.close();
    }
  });
}

type Store = (bytes: Buffer) => unknown;
const source = pattern(size, 7);
const stores: Record<string, Store> = {
  'a loop in optimised code': (bytes) => {
    for (let round = 0; round < 50; round++) {
      for (let at = 0; at < bytes.length; at++) bytes[at] = at ^ round;
    }
  },
  DataView: (bytes) => viewsOf(bytes).data.setFloat64(bytes.length - 9, 1.5),
  'Atomics.store': (bytes) => Atomics.store(viewsOf(bytes).words, bytes.length / 4 - 1, 77),
  'Atomics.add': (bytes) => Atomics.add(viewsOf(bytes).words, bytes.length / 4 - 1, 77),
  'Atomics.compareExchange': (bytes) => {
    const { words } = viewsOf(bytes);
    Atomics.compareExchange(
      words,
      bytes.length / 4 - 1,
      words[bytes.length / 4 - 1] as number,
      123,
    );
  },
  'Atomics.exchange of 64 bits': (bytes) =>
    Atomics.exchange(viewsOf(bytes).longs, bytes.length / 8 - 1, 5n),
  'Buffer.copy': (bytes) => source.copy(bytes),
  'Buffer.fill': (bytes) => bytes.fill(0xee),
  'Buffer.fill with text': (bytes) => bytes.fill('text'),
  'Buffer.write': (bytes) => bytes.write('a text', bytes.length - 6),
  'Buffer.writeUIntBE': (bytes) => bytes.writeUIntBE(0x123456, bytes.length - 3, 3),
  'TypedArray.set': (bytes) => bytes.set(source.subarray(0, bytes.length)),
  'TypedArray.copyWithin': (bytes) => bytes.copyWithin(page, 1, page),
  'TypedArray.reverse': (bytes) => bytes.reverse(),
  'TypedArray.sort': (bytes) => viewsOf(bytes).words.sort(),
  'Buffer.swap32': (bytes) => bytes.swap32(),
  TextEncoder: (bytes) => new TextEncoder().encodeInto('x'.repeat(size), bytes),
  'crypto.randomFillSync': (bytes) => crypto.randomFillSync(bytes),
  'WebAssembly memory out': (bytes) =>
    bytes.set(new Uint8Array(new Memory({ initial: 1 }).buffer, 0, bytes.length)),
};

for (const shared of [false, true]) {
  hazard(`every kind of store, into ${shared ? 'shared' : 'plain'} read-only buffers`, () => {
    for (const [name, store] of Object.entries(stores)) {
      const path = temporaryFile(content);
      const mapping = map(path, { shared });
      const fault = faultOf(readOnly, () => mapping.guard(() => store(mapping.bytes)));
      assert.equal(fault.access, 'write', name);
      assert.ok(mapping.bytes.equals(content), name);
      assert.ok(fs.readFileSync(path).equals(content), name);
      mapping.close();
    }
  });

  hazard(`every kind of store, into ${shared ? 'shared' : 'plain'} buffers, behind the end`, () => {
    for (const [name, store] of Object.entries(stores)) {
      const path = temporaryFile(content);
      const mapping = map(path, { access: 'write', shared });
      fs.truncateSync(path, 3 * page);
      const tail = mapping.bytes.subarray(4 * page);
      const fault = faultOf(truncated, () => mapping.guard(() => store(tail)));
      assert.ok(fault.offset >= 4 * page, name);
      assert.equal(fs.statSync(path).size, 3 * page, name);
      assert.ok(fs.readFileSync(path).equals(content.subarray(0, 3 * page)), name);
      mapping.close();
    }
  });
}

hazard('the file is cut in the middle of optimised loops', () => {
  const path = temporaryFile(content);
  const mapping = map(path, { access: 'write' });
  const { bytes } = mapping;
  const { doubles } = viewsOf(bytes);
  let faults = 0;
  for (let round = 0; round < 2000; round++) {
    if (round % 3 === 0) fs.truncateSync(path, (round % 9) * page - (round % 9 === 0 ? 0 : 1));
    sumOf(bytes);
    sumOf(doubles);
    for (let at = 0; at < bytes.length; at += 512) bytes[at] = round;
    try {
      mapping.check();
    } catch (error) {
      assert.ok(error instanceof FaultError && error.code === truncated);
      faults++;
    }
    if (round % 3 === 2) fs.writeFileSync(path, content, { flag: 'r+' });
  }
  assert.ok(faults > 500);
  assert.ok(bytes.equals(fs.readFileSync(path)) || bytes.length > fs.statSync(path).size);
});

hazard('system calls into and out of such memory: EFAULT, an error and no fault', async () => {
  const path = temporaryFile(content);
  const mapping = map(path);
  const { bytes } = mapping;
  const input = fs.openSync(temporaryFile(source), 'r');
  assert.throws(() => fs.readSync(input, bytes), { code: 'EFAULT' });
  await assert.rejects(promisify(fs.read)(input, bytes, 0, size, 0), { code: 'EFAULT' });
  assert.throws(() => fs.readvSync(input, [bytes]), { code: 'EFAULT' });
  assert.ok(bytes.equals(content));
  mapping.check();
  fs.truncateSync(path, 3 * page);
  const target = temporaryPath();
  const output = fs.openSync(target, 'w+');
  const tail = bytes.subarray(4 * page);
  assert.throws(() => fs.writeSync(output, tail), { code: 'EFAULT' });
  await assert.rejects(promisify(fs.write)(output, tail), { code: 'EFAULT' });
  try {
    assert.equal(fs.writeSync(output, bytes), 3 * page, 'a short count before the end');
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'EFAULT'); // of Deno, which tries the rest
  }
  assert.ok(fs.readFileSync(target).equals(content.subarray(0, 3 * page)));
  assert.throws(() => fs.appendFileSync(target, bytes), { code: 'EFAULT' });
  mapping.check();
});

hazard('a socket that is given such memory: an error, or a fault of who copies it', async () => {
  const path = temporaryFile(content);
  const mapping = map(path);
  const faults: FaultError[] = [];
  mapping.on('fault', (fault) => faults.push(fault));
  fs.truncateSync(path, 3 * page);
  const server = net.createServer((socket) => socket.on('error', () => {}).resume());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  const socket = net.connect(port, '127.0.0.1');
  const errors: (Error & { code?: string })[] = [];
  socket.on('error', (error) => errors.push(error));
  socket.write(mapping.bytes.subarray(4 * page));
  await until(() => errors.length + faults.length > 0);
  // Deno closes its side first; Bun copies, which is a load like any other.
  assert.match((errors[0] ?? faults[0])?.code ?? '', /^(EFAULT|EPIPE|ERR_MEMMAP_TRUNCATED)$/);
  socket.destroy();
  server.close();
  mapping.check();
});

const methods: Record<string, (mapping: Mapping) => unknown> = {
  prefetch: (mapping) => mapping.prefetch(),
  flush: (mapping) => mapping.flush(),
  evict: (mapping) => mapping.evict(),
  flushSync: (mapping) => mapping.flushSync(),
  residency: (mapping) => mapping.residency(),
  advise: (mapping) => mapping.advise('willneed'),
  lock: (mapping) => mapping.lock(),
  unlock: (mapping) => mapping.unlock(),
  protect: (mapping) => mapping.protect('read'),
  discard: (mapping) => mapping.discard('dontneed'),
};
for (const [name, method] of Object.entries(methods)) {
  hazard(`${name}() on a file that was cut: a result or an error of the system`, async () => {
    for (const left of [0, 1, 3 * page, 3 * page + 1]) {
      const path = temporaryFile(content);
      const mapping = map(path, { access: 'write' });
      fs.truncateSync(path, left);
      try {
        await method(mapping);
      } catch (error) {
        assert.match((error as { code: string }).code, /^(EFAULT|ENOMEM|EAGAIN|ERR_MEMMAP_)/);
      }
      assert.equal(mapping.bytes[size - 1], 0);
      pendingFault(mapping, truncated);
    }
  });
}

hazard('a worker with its own map() of the same file', async () => {
  const path = temporaryFile(content);
  const mapping = map(path);
  fs.truncateSync(path, page);
  const worker = new Worker(
    `const { parentPort, workerData } = require('node:worker_threads');
     const { map } = require('memmap');
     const { truncateSync } = require('node:fs');
     truncateSync(workerData.path, workerData.size);
     const mapping = map(workerData.path);
     truncateSync(workerData.path, 1);
     let sum = 0;
     let fault;
     try {
       mapping.guard(() => { for (const byte of mapping.bytes.subarray(1)) sum += byte; });
     } catch (error) { fault = { code: error.code, thread: error.thread }; }
     parentPort.postMessage({ sum, fault });`,
    { eval: true, workerData: { path, size } },
  );
  const told = await new Promise<{ sum: number; fault: FaultError }>((resolve, reject) => {
    worker.on('message', resolve).on('error', reject);
  });
  assert.equal(told.sum, 0);
  assert.equal(told.fault.code, truncated);
  assert.notEqual(told.fault.thread, process.pid);
  assert.ok(mapping.bytes.subarray(page).equals(Buffer.alloc(size - page)));
  assert.equal(pendingFault(mapping, truncated).thread, process.pid);
});

hazard('Atomics.wait and notify on words that cannot be loaded', async () => {
  const path = temporaryFile(content);
  const mapping = map(path, { shared: true });
  fs.truncateSync(path, 0);
  const words = new Int32Array(mapping.buffer);
  assert.equal(Atomics.wait(words, 5 * 1024, 1, 1), 'not-equal');
  pendingFault(mapping, truncated);
  assert.equal(Atomics.wait(words, 5 * 1024, 0, 1), 'timed-out');
  assert.equal(Atomics.notify(words, 5 * 1024), 0);
  pendingFault(mapping, truncated);
});

hazard('loads by the pool: deflate, hash and scrypt of a file that is cut', async () => {
  for (let round = 0; round < 20; round++) {
    const path = temporaryFile(content);
    const mapping = map(path);
    const faults: FaultError[] = [];
    mapping.on('fault', (fault) => faults.push(fault));
    fs.truncateSync(path, 3 * page);
    const deflated = await promisify(zlib.deflate)(mapping.bytes);
    const inflated = zlib.inflateSync(deflated);
    assert.ok(inflated.equals(cut), `round ${round}`);
    await until(() => faults.length > 0);
    assert.equal(faults[0]?.code, truncated);
    if (runtime !== 'deno') assert.notEqual(faults[0]?.thread, process.pid); // which has no pool
  }
});
