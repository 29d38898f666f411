import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { anonymous, map, pageSize } from 'memmap';
import { runProcess } from '../support/child.ts';
import { lacksCommand, lacksKernel, needs } from '../support/machine.ts';
import { pattern, temporaryFile } from '../support/temporary.ts';

const length = 3 * pageSize;
const write = { access: 'write' } as const;
const ranges = [undefined, {}, { offset: 1 }, { offset: pageSize, length: 10 }, { length: 0 }];

test('flushSync: what was stored is in the file', () => {
  const path = temporaryFile(length);
  using mapping = map(path, write);
  for (const mode of ['sync', 'async'] as const) {
    for (const invalidate of [false, true]) {
      for (const range of ranges) {
        mapping.bytes.fill(mapping.bytes[0] === 1 ? 2 : 1);
        mapping.flushSync(range, { mode, invalidate });
        assert.ok(readFileSync(path).equals(mapping.bytes));
      }
    }
  }
});

test('flush: a promise of nothing', async () => {
  const path = temporaryFile(length);
  using mapping = map(path, { ...write, offset: 5 });
  for (const range of ranges) {
    mapping.bytes.set(pattern(100, 7), 10);
    assert.equal(await mapping.flush(range), undefined);
    assert.equal(await mapping.flush(range, { invalidate: true }), undefined);
    assert.ok(readFileSync(path).subarray(5).equals(mapping.bytes));
  }
});

test('many at once, also over the same range', async () => {
  const path = temporaryFile(length);
  using mapping = map(path, write);
  mapping.bytes.fill(5);
  await Promise.all(Array.from({ length: 100 }, () => mapping.flush()));
  assert.ok(readFileSync(path).every((byte) => byte === 5));
});

test('a flush goes on after close', async () => {
  const path = temporaryFile(length);
  const mapping = map(path, write);
  mapping.bytes.fill(6);
  const flushed = mapping.flush();
  mapping.close();
  await flushed;
  assert.ok(readFileSync(path).every((byte) => byte === 6));
});

test('another program sees it', needs(lacksCommand('python3')), async () => {
  const path = temporaryFile(length);
  using mapping = map(path, write);
  mapping.bytes.write('seen by python', pageSize);
  mapping.flushSync({ offset: pageSize, length: 14 });
  const program =
    'import sys; f = open(sys.argv[1], "rb"); f.seek(int(sys.argv[2])); print(f.read(14))';
  const { stdout } = await runProcess(['python3', '-c', program, path, String(pageSize)]);
  assert.equal(stdout, "b'seen by python'\n");
});

test('nothing happens to what has nothing to save', async () => {
  const path = temporaryFile(length);
  for (const mapping of [
    map(path),
    anonymous(length),
    anonymous(0),
    map(temporaryFile(''), write),
  ]) {
    mapping.flushSync();
    mapping.flushSync({}, { mode: 'async', invalidate: true });
    assert.equal(await mapping.flush(), undefined);
    mapping.close();
  }
});

test('a flush of shared memory', async () => {
  using mapping = anonymous(length, { shared: true });
  mapping.flushSync();
  await mapping.flush();
});

test('progress, and an abort before it begins', async () => {
  using mapping = map(temporaryFile(length), write);
  const seen: { done: number; total: number }[] = [];
  mapping.bytes.fill(1);
  await mapping.flush({ offset: pageSize }, { onProgress: (progress) => seen.push(progress) });
  for (const { done, total } of seen) {
    assert.equal(total, length - pageSize);
    assert.ok(done > 0 && done <= total);
  }
  const reason = new Error('no more');
  const signal = AbortSignal.abort(reason);
  await assert.rejects(mapping.flush({}, { signal }), (error) => error === reason);
});

test('a locked range cannot be invalidated', needs(lacksKernel), async () => {
  const path = temporaryFile(length);
  using mapping = map(path, write);
  mapping.lock({ length: 1 });
  const busy = { code: 'EBUSY', syscall: 'msync', path, hint: /unlock\(\) it first/ };
  assert.throws(() => mapping.flushSync({}, { invalidate: true }), busy);
  await assert.rejects(mapping.flush({}, { invalidate: true }), busy);
  mapping.flushSync();
  mapping.unlock();
  mapping.flushSync({}, { invalidate: true });
});
