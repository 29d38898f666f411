import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { anonymous, map, pageSize } from 'memmap';
import { count, find, findAll, findLast, findSync, LineIndex, lineCount } from 'memmap/scan';
import { temporaryFile, temporaryPath } from '../../support/temporary.ts';

test('finds text and bytes, from both ends', async () => {
  using mapping = map(temporaryFile('eins zwei drei zwei €'));
  assert.equal(await find(mapping, 'zwei'), 5);
  assert.equal(await findLast(mapping, 'zwei'), 15);
  assert.equal(await find(mapping, Buffer.from('drei')), 10);
  assert.equal(
    await find(mapping, new Uint16Array(Buffer.from('ei').buffer.slice(0, 0))).catch((e) => e.code),
    'ERR_OUT_OF_RANGE',
  );
  assert.equal(await find(mapping, '€'), 20);
  assert.equal(await find(mapping, 'vier'), -1);
  assert.equal(await find(mapping, 'x'.repeat(10_000)), -1);
});

test('arguments are checked, and promises never throw synchronously', async () => {
  using mapping = anonymous(100);
  const bad: [unknown, unknown, unknown, string][] = [
    [{}, 'a', {}, 'ERR_INVALID_ARG_TYPE'],
    [mapping, /a/, {}, 'ERR_INVALID_ARG_TYPE'],
    [mapping, 1, {}, 'ERR_INVALID_ARG_TYPE'],
    [mapping, '', {}, 'ERR_OUT_OF_RANGE'],
    [mapping, 'a', null, 'ERR_INVALID_ARG_TYPE'],
    [mapping, 'a', { from: -1 }, 'ERR_OUT_OF_RANGE'],
    [mapping, 'a', { from: 1.5 }, 'ERR_OUT_OF_RANGE'],
    [mapping, 'a', { from: '1' }, 'ERR_INVALID_ARG_TYPE'],
    [mapping, 'a', { to: 101 }, 'ERR_OUT_OF_RANGE'],
    [mapping, 'a', { from: 5, to: 4 }, 'ERR_OUT_OF_RANGE'],
    [mapping, 'a', { threads: 0 }, 'ERR_OUT_OF_RANGE'],
    [mapping, 'a', { threads: 257 }, 'ERR_OUT_OF_RANGE'],
    [mapping, 'a', { signal: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [mapping, 'a', { onProgress: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [mapping, 'a', { overlapping: 1 }, 'ERR_INVALID_ARG_TYPE'],
  ];
  for (const [target, pattern, options, code] of bad) {
    await assert.rejects(count(target as never, pattern as never, options as never), { code });
  }
  mapping.close();
  await assert.rejects(find(mapping, 'a'), { code: 'ERR_MEMMAP_CLOSED' });
});

test('an empty mapping holds nothing', async () => {
  using mapping = map(temporaryFile(''));
  assert.equal(await find(mapping, 'a'), -1);
  assert.equal(await findLast(mapping, 'a', { threads: 4 }), -1);
  assert.equal(await count(mapping, 'a'), 0);
  assert.equal(await lineCount(mapping), 0);
});

test('beyond 4 GiB', async () => {
  const path = temporaryPath('sparse');
  const fd = openSync(path, 'w');
  const size = 2 ** 32 + 2 ** 26;
  ftruncateSync(fd, size);
  writeSync(fd, Buffer.from('needle'), 0, 6, 2 ** 32 - 3);
  writeSync(fd, Buffer.from('needle\n'), 0, 7, size - 7);
  closeSync(fd);
  using mapping = map(path);
  assert.equal(await find(mapping, 'needle', { from: 2 ** 32 - 10, threads: 2 }), 2 ** 32 - 3);
  assert.equal(await find(mapping, 'needle', { from: 2 ** 32 - 2 }), size - 7);
  assert.equal(await findLast(mapping, 'needle'), size - 7);
  assert.equal(await count(mapping, 'needle', { threads: 2 }), 2);
  assert.equal(await lineCount(mapping, { from: 2 ** 32 - 10, threads: 2 }), 1);
  const all: number[] = [];
  const options = { from: 2 ** 32 - 2 ** 20, threads: 2 };
  for await (const offset of findAll(mapping, 'needle', options)) all.push(offset);
  assert.deepEqual(all, [2 ** 32 - 3, size - 7]);
});

test('what is aborted before it settles rejects, also when the scan is through by then', async () => {
  using mapping = anonymous(2 ** 16);
  const reason = new Error('enough');
  for (const work of [find, findLast, count] as const) {
    for (let round = 0; round < 10; round++) {
      const stop = new AbortController();
      const promise = work(mapping, 'b', { signal: stop.signal });
      stop.abort(reason);
      await assert.rejects(promise, reason);
    }
  }
  const stop = new AbortController();
  const lines = lineCount(mapping, { signal: stop.signal });
  const index = LineIndex.build(mapping, { signal: stop.signal });
  const pages = mapping.prefetch({}, { signal: stop.signal });
  stop.abort(reason);
  const all = await Promise.allSettled([lines, index, pages]);
  for (const settled of all) assert.equal((settled as PromiseRejectedResult).reason, reason);
});

test('aborts in the middle, and tells the progress', async () => {
  const path = temporaryPath('sparse');
  closeSync(openSync(path, 'w'));
  using mapping = map(path, { access: 'write', length: 2 ** 30, extend: true });
  const stop = new AbortController();
  const reason = new Error('enough');
  const seen: number[] = [];
  const onProgress = ({ done, total }: { done: number; total: number }) => {
    assert.equal(total, 2 ** 30);
    seen.push(done);
    stop.abort(reason);
  };
  const searching = find(mapping, 'absent', { signal: stop.signal, onProgress });
  await assert.rejects(searching, (error) => error === reason);
  assert.ok(seen.length > 0 && (seen[0] as number) < 2 ** 30);
  await assert.rejects(
    count(mapping, 'a', { signal: AbortSignal.abort(reason) }),
    (e) => e === reason,
  );
  assert.equal(await find(mapping, 'absent', { threads: 2 }), -1);
});

test('close lets a search in flight end; resize without capacity waits for it', async () => {
  const size = 2 ** 30;
  const mapping = anonymous(size);
  mapping.write(Buffer.from('end'), size - 3);
  const searching = find(mapping, 'end');
  assert.throws(() => mapping.resize(4096), { code: 'EBUSY' });
  mapping.close();
  assert.equal(await searching, size - 3);
});

test('findAll is lazy, batches dense results and ends when it is left', async () => {
  using mapping = anonymous(100_000);
  mapping.write(Buffer.alloc(100_000, 97));
  let sum = 0;
  let seen = 0;
  for await (const offset of findAll(mapping, 'aa', { threads: 3 })) {
    assert.equal(offset, seen++ * 2);
    sum += offset;
  }
  assert.equal(seen, 50_000);
  assert.ok(sum > 0);
  for await (const offset of findAll(mapping, 'a', { overlapping: true })) {
    if (offset === 70_000) break;
  }
  const stop = new AbortController();
  await assert.rejects(
    async () => {
      for await (const offset of findAll(mapping, 'a', { signal: stop.signal })) {
        if (offset === 10) stop.abort();
      }
    },
    { name: 'AbortError' },
  );
  assert.equal(findSync(mapping, 'aaa', { from: 10 }), 10);
});

test('a fault that a check elsewhere has taken still spoils the answer', async () => {
  using mapping = anonymous(8 * 2 ** 20);
  mapping.protect('none', { offset: 4 * 2 ** 20, length: pageSize });
  await assert.rejects(count(mapping, 'a'), { code: 'ERR_MEMMAP_NO_ACCESS' });
  assert.throws(() => findSync(mapping, 'a'), { code: 'ERR_MEMMAP_NO_ACCESS' });
  mapping.check();
  assert.equal(await count(mapping, 'a', { to: 4 * 2 ** 20 }), 0);
});

test('zeros that are not there are not found behind the end either', async () => {
  using mapping = map(temporaryFile('m\n'.repeat(2 * pageSize)));
  for (const length of [1, 2, 3, 4, 5, 63, 64, 65, 300]) {
    const zeros = new Uint8Array(length);
    assert.equal(await find(mapping, zeros), -1);
    assert.equal(await findLast(mapping, zeros), -1);
    assert.equal(await count(mapping, zeros), 0);
    assert.equal(findSync(mapping, zeros, { from: 1, to: 4 * pageSize - 1 }), -1);
  }
});

test('a pattern is what it was when it was given', async () => {
  using mapping = map(temporaryFile('ab'.repeat(200_000)));
  const pattern = new Uint8Array(new TextEncoder().encode('ab'));
  let seen = 0;
  for await (const _ of findAll(mapping, pattern)) {
    if (++seen === 1) pattern.fill(0);
    if (seen === 20_000) structuredClone(pattern, { transfer: [pattern.buffer] });
  }
  assert.equal(seen, 200_000);
});

test('what onProgress throws rejects, and ends the work', async () => {
  using mapping = anonymous(64 * 2 ** 20);
  const failure = new Error('of the user');
  let told = 0;
  const onProgress = () => {
    told++;
    throw failure;
  };
  const works = [
    find(mapping, 'a', { onProgress }),
    count(mapping, 'a', { onProgress }),
    lineCount(mapping, { onProgress }),
    LineIndex.build(mapping, { onProgress }),
    mapping.prefetch({}, { onProgress }),
    mapping.evict({}, { onProgress }),
  ];
  for (const end of await Promise.allSettled(works)) {
    assert.deepEqual(end, { status: 'rejected', reason: failure });
  }
  assert.equal(told, works.length);
});
