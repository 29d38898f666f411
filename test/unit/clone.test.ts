import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageChannel, Worker } from 'node:worker_threads';
import { anonymous, map, pageSize } from 'memmap';
import { temporaryFile } from '../support/temporary.ts';

const refused = { code: 'ERR_MEMMAP_UNSUPPORTED', hint: /mapping\.share\(\).*Mapping\.attach/ };

test('a mapping cannot be cloned or posted, and says what can', () => {
  const { port1, port2 } = new MessageChannel();
  for (const mapping of [anonymous(pageSize), map(temporaryFile(10)), anonymous(0)]) {
    assert.throws(() => structuredClone(mapping), refused);
    assert.throws(() => structuredClone({ inside: [mapping] }), refused);
    assert.throws(() => port1.postMessage(mapping), refused);
    assert.throws(() => new Worker('', { eval: true, workerData: mapping }), refused);
    mapping.close();
    assert.throws(() => structuredClone(mapping), refused);
  }
  port1.close();
  port2.close();
});

test('nor when somebody listens to it', () => {
  for (const mapping of [anonymous(pageSize), anonymous(pageSize, { shared: true })]) {
    mapping.on('fault', () => {});
    assert.throws(() => structuredClone(mapping), refused);
    mapping.once('fault', () => {});
    mapping.removeAllListeners();
    mapping.on('fault', () => {});
    assert.throws(() => structuredClone({ inside: mapping }), refused);
    assert.equal(mapping.listenerCount('fault'), 1);
    mapping.close();
  }
});

test('its facts as JSON', () => {
  using mapping = anonymous(100);
  const { mapping: facts } = JSON.parse(JSON.stringify({ mapping }));
  assert.deepEqual(facts, {
    path: null,
    access: 'write',
    offset: 0,
    byteLength: 100,
    address: `0x${mapping.address.toString(16)}`,
    shared: false,
    closed: false,
  });
});

test('its bytes are copied', () => {
  using mapping = anonymous(10);
  mapping.bytes.write('0123456789');
  const copy = structuredClone(mapping.bytes);
  assert.equal(Buffer.from(copy).toString(), '0123456789');
  mapping.bytes[0] = 1;
  assert.equal(copy[0], '0'.charCodeAt(0));
});

test('a shared buffer is the same memory', () => {
  using mapping = anonymous(10, { shared: true });
  const same = structuredClone(mapping.buffer);
  new Uint8Array(same)[3] = 7;
  assert.equal(mapping.bytes[3], 7);
});

test('what is not shared has no handle', () => {
  using mapping = anonymous(10);
  assert.throws(() => mapping.share(), { code: 'ERR_MEMMAP_UNSUPPORTED', hint: /shared: true/ });
});
