import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anonymous, map, pageSize } from 'memmap';
import { runModule } from '../support/child.ts';
import { temporaryFile } from '../support/temporary.ts';

const length = 4 * pageSize;
const store = Buffer.from('x');
const isReadOnly = { code: 'ERR_MEMMAP_READ_ONLY' };

test('raises for one function, then puts back what each range had', () => {
  using mapping = anonymous(length);
  mapping.protect('read', { offset: pageSize, length: pageSize });
  mapping.protect('none', { offset: 2 * pageSize, length: pageSize });
  const result = mapping.withAccess('write', (given) => {
    assert.equal(given, mapping);
    mapping.bytes.fill(5);
    return 'result';
  });
  assert.equal(result, 'result');
  assert.equal(mapping.write(store), 1);
  assert.throws(() => mapping.write(store, pageSize), isReadOnly);
  assert.equal(mapping.read(Buffer.alloc(1), pageSize), 1);
  assert.throws(() => mapping.read(Buffer.alloc(1), 2 * pageSize), {
    code: 'ERR_MEMMAP_NO_ACCESS',
  });
  assert.equal(mapping.write(store, 3 * pageSize), 1);
  mapping.protect('read');
  assert.equal(mapping.bytes[2 * pageSize], 5);
});

test("'read' lowers nothing", () => {
  using mapping = anonymous(length);
  mapping.protect('none', { offset: pageSize });
  mapping.withAccess('read', () => {
    assert.equal(mapping.read(Buffer.alloc(1), pageSize), 1);
    assert.equal(mapping.write(store), 1);
  });
  assert.throws(() => mapping.read(Buffer.alloc(1), pageSize), { code: 'ERR_MEMMAP_NO_ACCESS' });
});

test('also when the function throws', () => {
  using mapping = anonymous(length);
  mapping.protect('read');
  const reason = new Error('mine');
  const run = () =>
    mapping.withAccess('write', () => {
      throw reason;
    });
  assert.throws(run, (error) => error === reason);
  assert.throws(() => mapping.write(store), isReadOnly);
});

test('nested', () => {
  using mapping = anonymous(length);
  mapping.protect('none');
  mapping.withAccess('read', () => {
    mapping.withAccess('write', () => assert.equal(mapping.write(store), 1));
    assert.throws(() => mapping.write(store), isReadOnly);
  });
  assert.throws(() => mapping.read(Buffer.alloc(1)), { code: 'ERR_MEMMAP_NO_ACCESS' });
});

test('the function may close or resize the mapping', () => {
  const mapping = anonymous(length, { capacity: 2 * length });
  mapping.protect('read');
  mapping.withAccess('write', () => mapping.resize(2 * length));
  assert.throws(() => mapping.write(store), isReadOnly);
  assert.equal(mapping.write(store, length), 1);
  mapping.withAccess('write', () => mapping.resize(pageSize));
  assert.throws(() => mapping.write(store), isReadOnly);
  mapping.withAccess('write', () => mapping.close());
  assert.ok(mapping.closed);
});

test('never more than a file allows', () => {
  using mapping = map(temporaryFile(length));
  const run = () => mapping.withAccess('write', () => assert.fail('it ran'));
  assert.throws(run, { code: 'EACCES', hint: /access 'write'/ });
});

test('a promise would be over before its work', () => {
  using mapping = anonymous(length);
  mapping.protect('read');
  const refused = { code: 'ERR_INVALID_ARG_TYPE', message: /synchronous/ };
  assert.throws(() => mapping.withAccess('write', async () => 1), refused);
  assert.throws(() => mapping.write(store), isReadOnly);
});

test('a store where it is put back is a fault, not a crash', async () => {
  const { code, signal, stdout, stderr } = await runModule(`
    import { anonymous, pageSize } from 'memmap';
    const mapping = anonymous(pageSize);
    mapping.protect('read');
    const { bytes } = mapping;
    mapping.withAccess('write', () => { bytes[0] = 1; });
    bytes[0] = 2;
    try { mapping.check(); } catch (error) { console.log(error.code, error.access, bytes[0]); }`);
  assert.deepEqual([code, signal, stderr], [0, null, '']);
  assert.equal(stdout, 'ERR_MEMMAP_READ_ONLY write 1\n');
});

test('a fault of another thread in the middle of it leaves nothing raised', async () => {
  const { code, signal, stderr } = await runModule(`
    import assert from 'node:assert/strict';
    import { once } from 'node:events';
    import { Worker } from 'node:worker_threads';
    import { anonymous, pageSize } from 'memmap';
    const mapping = anonymous(pageSize, { shared: true });
    mapping.protect('read');
    mapping.on('fault', () => {});
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const workerData = { buffer: mapping.buffer, stop };
    const source = \`
      import('node:worker_threads').then(({ workerData, parentPort }) => {
        const bytes = new Uint8Array(workerData.buffer, 64, 64);
        parentPort.postMessage('ready');
        while (Atomics.load(workerData.stop, 0) === 0) bytes[0] = 1;
      });\`;
    const worker = new Worker(source, { eval: true, workerData });
    await once(worker, 'message');
    let faults = 0;
    for (const end = Date.now() + 10_000; faults < 20 && Date.now() < end; ) {
      try {
        mapping.withAccess('write', () => {});
      } catch (error) {
        assert.equal(error.code, 'ERR_MEMMAP_READ_ONLY');
        faults++;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    Atomics.store(stop, 0, 1);
    await once(worker, 'exit');
    assert.ok(faults > 0);
    for (let looks = 0; looks < 10; looks++) {
      try { mapping.check(); } catch {}
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    mapping.bytes[0] = 99;
    assert.throws(() => mapping.check(), { code: 'ERR_MEMMAP_READ_ONLY' });
    assert.notEqual(mapping.bytes[0], 99);`);
  assert.deepEqual([stderr, code, signal], ['', 0, null]);
});
