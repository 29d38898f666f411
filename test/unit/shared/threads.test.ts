import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { anonymous, Mapping, map, pageSize } from 'memmap';
import { collect } from '../../runtime/runtime.ts';
import { pattern, temporaryFile } from '../../support/temporary.ts';

/** A worker that runs a function body with `memmap`, `workerData` and `parentPort` in scope. */
function startWorker(body: string, workerData: unknown): Worker {
  const entry = JSON.stringify(import.meta.resolve('memmap'));
  const source = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(${entry}).then(async (memmap) => { const { Mapping, map, anonymous } = memmap; ${body} })
      .catch((error) => { throw error; });`;
  return new Worker(source, { eval: true, workerData });
}

function nextMessage(worker: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

function end(worker: Worker): Promise<number> {
  return new Promise((resolve) => worker.once('exit', resolve));
}

test('four workers and this thread add into one mapping, and every addition counts', async () => {
  const additions = process.env.MEMMAP_EMULATED ? 10_000 : 500_000;
  using mapping = anonymous(pageSize, { shared: true });
  const body = `
    const mapping = Mapping.attach(workerData);
    const words = mapping.view(Int32Array, 0, 1);
    for (let i = 0; i < ${additions}; i++) Atomics.add(words, 0, 1);
    mapping.close();`;
  const workers = Array.from({ length: 4 }, () => startWorker(body, mapping.share()));
  const words = mapping.view(Int32Array, 0, 1);
  for (let i = 0; i < additions; i++) Atomics.add(words, 0, 1);
  assert.deepEqual(await Promise.all(workers.map(end)), [0, 0, 0, 0]);
  assert.equal(words[0], 5 * additions);
});

test('an attached mapping knows what the first one knows', async () => {
  const path = temporaryFile(3 * pageSize);
  using mapping = map(path, { access: 'write', shared: true, offset: pageSize });
  using other = Mapping.attach(mapping.share());
  for (const fact of ['path', 'access', 'offset', 'byteLength', 'address', 'shared'] as const) {
    assert.equal(other[fact], mapping[fact], fact);
  }
  other.bytes[0] = 200;
  assert.equal(mapping.bytes[0], 200);
  await other.flush();
});

test('the memory goes with the last mapping, whoever it is', async () => {
  const path = temporaryFile(pageSize);
  const first = map(path, { access: 'write', shared: true });
  const second = Mapping.attach(first.share());
  const buffer = new Uint8Array(second.buffer);
  first.close();
  buffer[0] = 111;
  assert.equal(second.bytes[0], 111);
  const handle = second.share();
  const faults: unknown[] = [];
  second.on('fault', (fault) => faults.push(fault.code));
  second.close();
  assert.equal(buffer[0], 0, 'loads give zeros');
  buffer[1] = 5;
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(faults, ['ERR_MEMMAP_CLOSED']);
  assert.throws(() => Mapping.attach(handle), { code: 'ERR_MEMMAP_CLOSED' });
  using check = map(path);
  assert.equal(check.bytes[0], 111);
  assert.equal(check.bytes[1], pattern(pageSize)[1], 'no store came through after close');
});

test('the creator may exit first', async () => {
  const worker = startWorker(
    `const mapping = anonymous(8192, { shared: true });
     mapping.bytes.write('from the worker');
     parentPort.postMessage(mapping.share());
     parentPort.once('message', () => process.exit(0));`,
    null,
  );
  const handle = (await nextMessage(worker)) as Parameters<typeof Mapping.attach>[0];
  using mapping = Mapping.attach(handle);
  worker.postMessage('go');
  await end(worker);
  collect();
  assert.equal(mapping.bytes.toString('latin1', 0, 15), 'from the worker');
  mapping.bytes[8191] = 3;
  assert.equal(mapping.bytes[8191], 3);
});

test('a worker that is terminated while it writes leaves the memory to the others', async () => {
  using mapping = anonymous(64 * pageSize, { shared: true });
  for (let round = 0; round < 5; round++) {
    const worker = startWorker(
      `const mapping = Mapping.attach(workerData);
       parentPort.postMessage('ready');
       for (let i = 0; ; i++) mapping.bytes.fill(i & 0xff);`,
      mapping.share(),
    );
    await nextMessage(worker);
    await worker.terminate();
  }
  mapping.bytes.fill(42);
  assert.ok(mapping.bytes.every((byte) => byte === 42));
});

test('growth with a capacity shows in every thread', async () => {
  using mapping = anonymous(pageSize, { shared: true, capacity: 8 * pageSize });
  const worker = startWorker(
    `const mapping = Mapping.attach(workerData);
     parentPort.postMessage(mapping.byteLength);
     parentPort.once('message', () => {
       parentPort.postMessage([mapping.byteLength, mapping.bytes.at(-1)]);
       mapping.close();
     });`,
    mapping.share(),
  );
  assert.equal(await nextMessage(worker), pageSize);
  mapping.resize(5 * pageSize);
  mapping.bytes[5 * pageSize - 1] = 77;
  worker.postMessage('look');
  assert.deepEqual(await nextMessage(worker), [5 * pageSize, 77]);
});

test('a handle is checked, and one that is not shared is refused', () => {
  using plain = anonymous(pageSize);
  assert.throws(() => plain.share(), { code: 'ERR_MEMMAP_UNSUPPORTED', hint: /shared: true/ });
  for (const wrong of [null, 1, {}, { memmap: 1 }, []]) {
    assert.throws(() => Mapping.attach(wrong as never), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  using shared = anonymous(pageSize, { shared: true });
  const handle = shared.share();
  const altered: object[] = [
    ...[-4095, 1, Number.NaN, '0', { valueOf: () => 0 }].map((offset) => ({ offset })),
    ...['read', 'copy', 'bogus', null].map((access) => ({ access })),
    ...[{ toString: () => '/' }, 5].map((path) => ({ path })),
  ];
  for (const change of altered) {
    const type = { code: 'ERR_INVALID_ARG_TYPE' };
    assert.throws(() => Mapping.attach({ ...handle, ...change } as never), type);
  }
  Mapping.attach(handle).close();
  assert.throws(() => Mapping.attach({ ...handle, process: 1 }), {
    code: 'ERR_MEMMAP_UNSUPPORTED',
  });
  const forged = { ...handle, buffer: new SharedArrayBuffer(pageSize) };
  assert.throws(() => Mapping.attach(forged), { code: 'ERR_MEMMAP_CLOSED' });
});

test('posting the mapping itself throws and says what to do', () => {
  using mapping = anonymous(pageSize, { shared: true });
  const { port1, port2 } = new MessageChannel();
  assert.throws(() => port1.postMessage(mapping), { hint: /share\(\)/ });
  assert.throws(() => structuredClone(mapping), { hint: /share\(\)/ });
  port1.postMessage(mapping.share());
  using other = Mapping.attach(receiveMessageOnPort(port2)?.message);
  mapping.bytes[1] = 9;
  assert.equal(other.bytes[1], 9);
  port1.close();
});

test('posting the bytes of a mapping copies them unless it is shared', () => {
  using plain = anonymous(pageSize);
  plain.bytes[0] = 1;
  const copy = structuredClone(plain.bytes);
  plain.bytes[0] = 2;
  assert.equal(copy[0], 1);
  using shared = anonymous(pageSize, { shared: true });
  const same = structuredClone(shared.bytes);
  shared.bytes[0] = 2;
  assert.equal(same[0], 2);
});
