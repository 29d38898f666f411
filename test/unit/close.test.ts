import assert from 'node:assert/strict';
import { fstatSync } from 'node:fs';
import { test } from 'node:test';
import { anonymous, Mapping, map, pageSize } from 'memmap';
import { lacksKernel, mappingsOf, needs, openDescriptors } from '../support/machine.ts';
import { temporaryFile } from '../support/temporary.ts';

const length = 2 * pageSize;
const isClosed = { name: 'MemmapError', code: 'ERR_MEMMAP_CLOSED' };

/** What still answers after close; everything else of Mapping.prototype must refuse. */
const facts: Record<string, unknown> = {
  byteLength: 0,
  closed: true,
  fd: -1,
  offset: 7,
  access: 'write',
  shared: false,
  pageSize,
  capacity: 0,
};
const harmless = ['constructor', 'close', 'address', 'path', 'toJSON'];
/** Arguments that an open mapping takes; a method without a row is called with none. */
const calls: Record<string, unknown[]> = {
  window: [0, 1],
  view: [Uint8Array],
  read: [Buffer.alloc(1)],
  write: [Buffer.alloc(1)],
  advise: ['normal'],
  discard: ['dontneed'],
  protect: ['read'],
  withAccess: ['write', () => assert.fail('it ran')],
  guard: [() => assert.fail('it ran')],
  resize: [1],
};

test('every member refuses after close, but the facts', async () => {
  const path = temporaryFile(length);
  const mapping = map(path, { access: 'write', offset: 7 });
  const { address } = mapping;
  mapping.close();
  assert.equal(mapping.path, path);
  assert.equal(mapping.address, address);
  for (const [name, member] of Object.entries(
    Object.getOwnPropertyDescriptors(Mapping.prototype),
  )) {
    if (harmless.includes(name)) continue;
    if (member.get && name in facts) {
      assert.equal(member.get.call(mapping), facts[name], name);
      continue;
    }
    const use = async () =>
      member.get ? member.get.call(mapping) : member.value.call(mapping, ...(calls[name] ?? []));
    await assert.rejects(use, { ...isClosed, path }, `${name} after close`);
  }
});

test('methods throw it and promises reject with it', async () => {
  const mapping = anonymous(length);
  mapping.close();
  assert.throws(() => mapping.flushSync(), isClosed);
  for (const name of ['flush', 'prefetch', 'evict'] as const) {
    const promise = mapping[name]();
    assert.ok(promise instanceof Promise);
    await assert.rejects(promise, isClosed);
  }
});

test('twice is fine', () => {
  const mapping = anonymous(length);
  mapping.close();
  mapping.close();
  assert.ok(mapping.closed);
});

test('every buffer is detached', () => {
  const mapping = anonymous(length);
  const views = [mapping.bytes, mapping.window(1, 2), mapping.view(Float64Array)];
  const data = mapping.dataView(3);
  const { buffer } = mapping;
  mapping.close();
  for (const view of views) assert.equal(view.length, 0);
  assert.equal(buffer.byteLength, 0);
  assert.throws(() => data.getUint8(0), TypeError);
  assert.equal(views[0]?.[0], undefined);
});

test('file and memory are given back now', needs(lacksKernel), () => {
  const path = temporaryFile(length);
  const before = openDescriptors();
  const mapping = map(path);
  const { fd } = mapping;
  assert.equal(mapping.bytes.length, length);
  assert.equal(mappingsOf(path).length, 1);
  mapping.close();
  assert.equal(mappingsOf(path).length, 0);
  assert.equal(openDescriptors(), before);
  assert.throws(() => fstatSync(fd), { code: 'EBADF' });
});

test('addresses too where no buffer was made', needs(lacksKernel), () => {
  const mapping = anonymous(length);
  const { address } = mapping;
  mapping.close();
  using again = anonymous(length, { address });
  assert.equal(again.address, address);
});

test(
  'addresses later where one was: they are not used for anything else',
  needs(lacksKernel),
  () => {
    const mapping = anonymous(length);
    const { address, bytes } = mapping;
    assert.equal(bytes.length, length);
    mapping.close();
    assert.throws(() => anonymous(length, { address }), { code: 'EEXIST' });
    assert.equal(bytes.length, 0);
  },
);

test('one of several mappings of a file', () => {
  const path = temporaryFile(length);
  const first = map(path, { access: 'write' });
  using second = map(path, { access: 'write' });
  first.bytes[0] = 42;
  first.close();
  assert.equal(second.bytes[0], 42);
  second.bytes[1] = 43;
});
