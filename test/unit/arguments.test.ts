import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anonymous, type Mapping, map, pageSize } from 'memmap';
import { temporaryFile } from '../support/temporary.ts';

const type = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
const range = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
const isClosed = { code: 'ERR_MEMMAP_CLOSED' };

function fresh(): Mapping {
  return map(temporaryFile(2 * pageSize), { access: 'write' });
}

/** Closes the mapping when it is looked at. */
function closing<T>(mapping: Mapping, value: T): () => T {
  return () => {
    mapping.close();
    return value;
  };
}

/** Every method that takes a range, called with it. */
const ranged: Record<string, (mapping: Mapping, range: never) => unknown> = {
  flush: (mapping, given) => mapping.flush(given),
  flushSync: (mapping, given) => mapping.flushSync(given),
  advise: (mapping, given) => mapping.advise('normal', given),
  discard: (mapping, given) => mapping.discard('dontneed', given),
  prefetch: (mapping, given) => mapping.prefetch(given),
  evict: (mapping, given) => mapping.evict(given),
  residency: (mapping, given) => mapping.residency(given),
  lock: (mapping, given) => mapping.lock(given),
  unlock: (mapping, given) => mapping.unlock(given),
  protect: (mapping, given) => mapping.protect('write', given),
};

for (const [name, call] of Object.entries(ranged)) {
  const isPromise = ['flush', 'prefetch', 'evict'].includes(name);
  const refuses = async (mapping: Mapping, given: unknown, expected: object) => {
    const run = () => call(mapping, given as never);
    if (isPromise) await assert.rejects(run() as Promise<void>, expected);
    else assert.throws(run, expected);
  };

  test(`${name} refuses wrong ranges by name`, async () => {
    using mapping = fresh();
    for (const given of [null, 1, 'all', [], true]) {
      await refuses(mapping, given, { ...type, message: /"range"/ });
    }
    for (const property of ['offset', 'length']) {
      const message = new RegExp(`"range\\.${property}"`);
      await refuses(mapping, { [property]: '0' }, { ...type, message });
      for (const value of [-1, 0.5, Number.NaN, 2 * pageSize + 1, 2 ** 53]) {
        await refuses(mapping, { [property]: value }, { ...range, message });
      }
    }
    await refuses(mapping, { offset: pageSize, length: pageSize + 1 }, range);
  });

  test(`${name} finds a mapping that its own range closes`, async () => {
    for (const property of ['offset', 'length']) {
      const mapping = fresh();
      const closer = Object.defineProperty({}, property, { get: closing(mapping, 0) });
      await refuses(mapping, closer, isClosed);
    }
  });

  test(`${name} reads a range once`, async () => {
    using mapping = fresh();
    let reads = 0;
    const given = {
      get offset() {
        reads++;
        return 0;
      },
    };
    await call(mapping, given as never);
    assert.equal(reads, 1);
  });
}

test('options that close the mapping are found as well', async () => {
  const closer = (mapping: Mapping, name: string, value: unknown): never =>
    Object.defineProperty({}, name, { get: closing(mapping, value) }) as never;
  let mapping = fresh();
  assert.throws(() => mapping.flushSync({}, closer(mapping, 'mode', 'sync')), isClosed);
  mapping = fresh();
  assert.throws(() => mapping.lock({}, closer(mapping, 'onFault', false)), isClosed);
  mapping = fresh();
  await assert.rejects(mapping.flush({}, closer(mapping, 'invalidate', false)), isClosed);
  mapping = fresh();
  await assert.rejects(mapping.prefetch({}, closer(mapping, 'onProgress', undefined)), isClosed);
});

test('positions and lengths are not converted', () => {
  using mapping = fresh();
  const closer = { valueOf: closing(mapping, 0) } as never;
  assert.throws(() => mapping.window(closer, 1), type);
  assert.throws(() => mapping.window(0, closer), type);
  assert.throws(() => mapping.view(Uint8Array, closer), type);
  assert.throws(() => mapping.view(Uint8Array, 0, closer), type);
  assert.throws(() => mapping.dataView(closer), type);
  assert.throws(() => mapping.read(Buffer.alloc(1), closer), type);
  assert.throws(() => mapping.write(Buffer.alloc(1), closer), type);
  assert.throws(() => mapping.resize(closer), type);
  assert.ok(!mapping.closed);
});

test('views and copies refuse wrong numbers by name', () => {
  using mapping = fresh();
  for (const value of [-1, 0.5, Number.NaN, 2 ** 53]) {
    assert.throws(() => mapping.window(value, 1), { ...range, message: /"byteOffset"/ });
    assert.throws(() => mapping.window(0, value), { ...range, message: /"byteLength"/ });
    assert.throws(() => mapping.dataView(value), { ...range, message: /"byteOffset"/ });
    assert.throws(() => mapping.view(Uint8Array, value), { ...range, message: /"byteOffset"/ });
    assert.throws(() => mapping.view(Uint8Array, 0, value), { ...range, message: /"length"/ });
    assert.throws(() => mapping.read(Buffer.alloc(1), value), { ...range, message: /"position"/ });
    assert.throws(() => mapping.resize(value), { ...range, message: /"byteLength"/ });
  }
  for (const call of [
    () => mapping.window(0, 2 * pageSize + 1),
    () => mapping.window(1, 2 ** 52),
  ]) {
    assert.throws(call, range);
  }
});

test('names and functions are checked', () => {
  using mapping = fresh();
  for (const value of [undefined, null, 'x', 1, {}, 'dontneed']) {
    assert.throws(() => mapping.advise(value as never), { ...type, message: /"advice"/ });
    assert.throws(() => mapping.protect(value as never), { ...type, message: /"protection"/ });
    assert.throws(() => mapping.withAccess(value as never, () => 0), {
      ...type,
      message: /"access"/,
    });
  }
  for (const value of [undefined, 'normal', 1]) {
    assert.throws(() => mapping.discard(value as never), { ...type, message: /"how"/ });
    assert.throws(() => mapping.guard(value as never), { ...type, message: /"fn"/ });
    assert.throws(() => mapping.withAccess('write', value as never), { ...type, message: /"fn"/ });
  }
  for (const value of [undefined, null, [1], 'abc', new ArrayBuffer(1)]) {
    assert.throws(() => mapping.read(value as never), { ...type, message: /"target"/ });
    assert.throws(() => mapping.write(value as never), { ...type, message: /"source"/ });
  }
  for (const value of [undefined, Array, Buffer, DataView, 'Uint8Array', () => 0]) {
    assert.throws(() => mapping.view(value as never), { ...type, message: /"Type"/ });
  }
});

test('options of flush, lock and work are checked', async () => {
  using mapping = fresh();
  assert.throws(() => mapping.flushSync({}, null as never), { ...type, message: /"options"/ });
  const mode = { mode: 'fast' } as never;
  assert.throws(() => mapping.flushSync({}, mode), { ...type, message: /"options\.mode"/ });
  const invalidate = { invalidate: 1 } as never;
  const refusal = { ...type, message: /"options\.invalidate"/ };
  assert.throws(() => mapping.flushSync({}, invalidate), refusal);
  await assert.rejects(mapping.flush({}, invalidate), refusal);
  const onFault = { ...type, message: /"options\.onFault"/ };
  assert.throws(() => mapping.lock({}, { onFault: 1 } as never), onFault);
  for (const name of ['flush', 'prefetch', 'evict'] as const) {
    const run = async (options: unknown) => mapping[name]({}, options as never);
    await assert.rejects(run(null), { ...type, message: /"options"/ });
    await assert.rejects(run({ signal: {} }), { ...type, message: /"options\.signal"/ });
    await assert.rejects(run({ onProgress: 1 }), { ...type, message: /"options\.onProgress"/ });
  }
});

test('a target that lies about its length gets no byte from behind the end', () => {
  using file = map(temporaryFile(2 * pageSize), { length: 10 });
  using memory = anonymous(10);
  for (const mapping of [file, memory]) {
    const target = new Uint8Array(pageSize).fill(7);
    Object.defineProperty(target, 'byteLength', { value: 10 });
    mapping.read(target);
    assert.ok(target.subarray(10).every((byte) => byte === 7));
  }
});

test('a target that closes the mapping while it is looked at', () => {
  const mapping = map(temporaryFile(10));
  const target = new Uint8Array(pageSize);
  Object.defineProperty(target, 'byteLength', { get: closing(mapping, 1) });
  try {
    assert.ok(mapping.read(target) <= 10);
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'ERR_MEMMAP_CLOSED');
  }
  mapping.close();
});

test('detached targets hold nothing', () => {
  using mapping = fresh();
  const target = new Uint8Array(8);
  structuredClone(target.buffer, { transfer: [target.buffer] });
  assert.equal(mapping.read(target), 0);
  assert.equal(mapping.write(target), 0);
});
