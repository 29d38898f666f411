/**
 * Scans beside other work: what waits behind them, what is taken from them meanwhile.
 */
import assert from 'node:assert/strict';
import { truncateSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { anonymous, type Mapping, map, pageSize } from 'memmap';
import { count, countSync, find, lineCount, lines } from 'memmap/scan';
import { runModule } from '../../support/child.ts';
import { temporaryFile } from '../../support/temporary.ts';

/** Scans that keep all threads of scans, and their ends. */
function busy(memory: Mapping, scans: number) {
  const control = new AbortController();
  const state = { ended: 0 };
  const all = Array.from({ length: scans }, () =>
    count(memory, 'no such thing', { signal: control.signal })
      .catch(() => {})
      .then(() => {
        state.ended++;
      }),
  );
  const end = async () => {
    control.abort();
    await Promise.all(all);
  };
  return { state, end };
}

test('a flush does not wait for scans', async () => {
  using large = anonymous(2 ** 31, { access: 'read' });
  using file = map(temporaryFile(pageSize), { access: 'write' });
  const { state, end } = busy(large, 8);
  file.bytes[0] = 1;
  await file.flush();
  await file.prefetch();
  assert.ok(state.ended < 8, 'the flush waited for all of the scans');
  await end();
});

test('a scan that no thread has begun ends at once when it is aborted', async () => {
  using large = anonymous(2 ** 31, { access: 'read' });
  const { state, end } = busy(large, 8);
  const control = new AbortController();
  const queued = Array.from({ length: 20 }, () => find(large, 'x', { signal: control.signal }));
  const reason = new Error('enough');
  control.abort(reason);
  for (const result of await Promise.allSettled(queued)) {
    assert.equal(result.status === 'rejected' && result.reason, reason);
  }
  assert.ok(state.ended < 8, 'it waited for its turn');
  await end();
});

test('what a check has taken while a scan waited for a thread still spoils it', async () => {
  using mapping = anonymous(2 ** 20);
  mapping.protect('read');
  using large = anonymous(2 ** 30, { access: 'read' });
  const { end } = busy(large, 8);
  const waiting = count(mapping, Buffer.from([7]));
  mapping.bytes.fill(7, 0, 10); // thrown away
  assert.throws(() => mapping.check(), { code: 'ERR_MEMMAP_READ_ONLY' });
  await Promise.all([end(), assert.rejects(waiting, { code: 'ERR_MEMMAP_READ_ONLY' })]);
  assert.equal(await count(mapping, Buffer.from([7])), 0);
});

test('so does a cut of the file that is made good again', async () => {
  const text = Buffer.alloc(64 * pageSize, 'a');
  const path = temporaryFile(text);
  using mapping = map(path);
  using large = anonymous(2 ** 30, { access: 'read' });
  const { end } = busy(large, 8);
  const waiting = count(mapping, 'a');
  truncateSync(path, 0);
  assert.equal(mapping.bytes[10 * pageSize], 0);
  writeFileSync(path, text);
  assert.throws(() => mapping.check(), { code: 'ERR_MEMMAP_TRUNCATED' });
  await Promise.all([end(), assert.rejects(waiting, { code: 'ERR_MEMMAP_TRUNCATED' })]);
  assert.equal(await count(mapping, 'a'), text.length);
});

test('a pattern that is a view of the mapping is read before it is looked for', () => {
  const path = temporaryFile(
    Buffer.concat([Buffer.from('\0'.repeat(100)), Buffer.alloc(2 * pageSize, 'z')]),
  );
  using mapping = map(path);
  const pattern = mapping.window(pageSize, 10);
  truncateSync(path, pageSize);
  assert.throws(() => countSync(mapping, pattern, { to: 100 }), { code: 'ERR_MEMMAP_TRUNCATED' });
});

test('lines of a file that was cut meanwhile end with its fault', () => {
  for (const content of ['abc\n'.repeat(20), 'x'.repeat(100)]) {
    const path = temporaryFile(content);
    using mapping = map(path);
    const read = () => {
      for (const line of lines(mapping)) if (line.length > 0) truncateSync(path, 0);
    };
    assert.throws(read, { code: 'ERR_MEMMAP_TRUNCATED' });
  }
});

test('lines of a mapping that its last line closes just end', () => {
  const mapping = map(temporaryFile('one\ntwo\n'));
  const read: string[] = [];
  for (const line of lines(mapping)) {
    read.push(String(line));
    if (read.length === 2) mapping.close();
  }
  assert.deepEqual(read, ['one', 'two']);
});

test('a pattern of long repetitions is searched for in time with the text', async () => {
  const unit = Buffer.from('abc'.repeat(100_000));
  using mapping = anonymous(16 * 2 ** 20);
  for (let at = 0; at < mapping.byteLength; at += unit.length) {
    mapping.write(unit.subarray(0, Math.min(unit.length, mapping.byteLength - at)), at);
  }
  const pattern = Buffer.from(unit);
  pattern[pattern.length - 2] = 'x'.charCodeAt(0);
  assert.equal(await find(mapping, pattern), -1);
  mapping.write(pattern, 3 * 2 ** 20);
  assert.equal(await find(mapping, pattern), 3 * 2 ** 20);
});

test('a pattern is its bytes, whatever it iterates over, and well-formed text', async () => {
  class Lying extends Uint8Array {
    override *[Symbol.iterator](): ArrayIterator<number> {
      yield 120;
    }
  }
  using mapping = anonymous(10);
  mapping.write(Buffer.from('xy'), 3);
  assert.equal(await find(mapping, new Lying([121])), 4);
  await assert.rejects(find(mapping, 'a\ud800'), { code: 'ERR_INVALID_ARG_TYPE' });
  const detached = new Uint8Array(4);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  await assert.rejects(find(mapping, detached), { code: 'ERR_OUT_OF_RANGE' });
  const signal = { throwIfAborted() {}, addEventListener() {} } as never;
  await assert.rejects(find(mapping, 'x', { signal }), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('much work may share one signal', async () => {
  const { code, stderr } = await runModule(`
    import { anonymous } from 'memmap';
    import { lineCount } from 'memmap/scan';
    const mapping = anonymous(1 << 20);
    const { signal } = new AbortController();
    await Promise.all(Array.from({ length: 40 }, () => lineCount(mapping, { signal })));
    await Promise.all(Array.from({ length: 40 }, () => mapping.prefetch({}, { signal })));`);
  assert.deepEqual([code, stderr.replace(/.*--no-check.*\n/, '')], [0, '']);
});

test('an aborted signal ends each of those that share it', async () => {
  using large = anonymous(2 ** 30, { access: 'read' });
  const control = new AbortController();
  const all = Array.from({ length: 12 }, () => lineCount(large, { signal: control.signal }));
  setImmediate(() => control.abort());
  for (const result of await Promise.allSettled(all)) {
    assert.equal(result.status === 'rejected' && result.reason.name, 'AbortError');
  }
});

test('a mapping with capacity grows while it is scanned, and does not shrink', async () => {
  using mapping = anonymous(2 ** 20, { capacity: 2 ** 22 });
  using large = anonymous(2 ** 30, { access: 'read' });
  const { end } = busy(large, 8);
  const waiting = count(mapping, Buffer.from([0]));
  mapping.resize(2 ** 21);
  assert.throws(() => mapping.resize(2 ** 19), { code: 'EBUSY', hint: /await it/ });
  await end();
  assert.equal(await waiting, 2 ** 20);
  mapping.resize(2 ** 19);
});
