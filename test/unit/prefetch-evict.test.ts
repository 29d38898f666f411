import assert from 'node:assert/strict';
import { fsyncSync, openSync, statfsSync, truncateSync } from 'node:fs';
import { test } from 'node:test';
import { anonymous, type Mapping, map, pageSize } from 'memmap';
import { isEmulated, lacksKernel, needs } from '../support/machine.ts';
import { pattern, temporaryDirectory, temporaryFile } from '../support/temporary.ts';

const length = 16 * pageSize;
const tmpfs = 0x01021994; // include/uapi/linux/magic.h
const inMemory = statfsSync(temporaryDirectory()).type === tmpfs;
const disk = needs(lacksKernel, inMemory && 'the temporary directory is a tmpfs, which is memory');
const kernel = needs(lacksKernel);

/** A file of this content whose pages are clean. */
function cleanFile(bytes: number): string {
  const path = temporaryFile(bytes);
  fsyncSync(openSync(path, 'r+'));
  return path;
}

test('evict puts a file out of memory, prefetch brings it in', disk, async () => {
  for (const access of ['read', 'write'] as const) {
    using mapping = map(cleanFile(length), { access });
    const out = await mapping.evict();
    assert.deepEqual([out.pages, out.resident], [16, 0]);
    const back = await mapping.prefetch();
    assert.deepEqual([back.pages, back.resident], [16, 16]);
    assert.deepEqual(back, mapping.residency());
    assert.ok(mapping.bytes.equals(pattern(length)));
  }
});

test('stores that are not on the disk yet are not lost', async () => {
  using mapping = map(temporaryFile(length), { access: 'write' });
  mapping.bytes.fill(9);
  await mapping.evict();
  assert.ok(mapping.bytes.every((byte) => byte === 9));
});

test('evict is rounded inwards, prefetch outwards', disk, async () => {
  using mapping = map(cleanFile(length));
  mapping.advise('random'); // no pages around those that are asked for
  const half = { offset: 1, length: pageSize + 1 };
  await mapping.evict(half);
  assert.equal(mapping.residency().resident, 16);
  await mapping.evict();
  const { pages, resident } = await mapping.prefetch({ offset: pageSize - 1, length: 2 });
  assert.deepEqual([pages, resident], [2, 2]);
});

test('evict of memory without a file destroys nothing', async () => {
  for (const mapping of [anonymous(length), map(temporaryFile(length), { access: 'copy' })]) {
    mapping.bytes.set(pattern(length, 5));
    await mapping.evict();
    assert.ok(mapping.bytes.equals(pattern(length, 5)));
    mapping.close();
  }
});

test('prefetch of anonymous memory', kernel, async () => {
  using mapping = anonymous(length);
  assert.equal((await mapping.prefetch()).resident, 16);
});

test('locked pages stay', disk, async () => {
  using mapping = map(cleanFile(length));
  mapping.lock({ length: pageSize });
  await mapping.evict({ offset: pageSize });
  assert.equal(mapping.residency({ length: pageSize }).resident, 1);
});

test('an abort before it begins rejects with the reason', async () => {
  const reason = new Error('changed my mind');
  const signal = AbortSignal.abort(reason);
  for (const mapping of [map(temporaryFile(length)), map(temporaryFile(''))]) {
    await assert.rejects(mapping.prefetch({}, { signal }), (error) => error === reason);
    await assert.rejects(mapping.evict({}, { signal }), (error) => error === reason);
    mapping.close();
  }
});

const large = isEmulated ? 64 * 2 ** 20 : 512 * 2 ** 20;
const slow = needs(isEmulated && 'the emulator brings no pages in, and is done at once');

function sparse(): Mapping {
  const path = temporaryFile('');
  truncateSync(path, large);
  return map(path);
}

test('progress never goes back, and ends at the total', async () => {
  using mapping = sparse();
  const seen: number[] = [];
  await mapping.prefetch(
    {},
    {
      onProgress({ done, total }) {
        assert.equal(total, large);
        seen.push(done);
      },
    },
  );
  assert.ok(seen.length > 0);
  assert.deepEqual(
    seen,
    [...seen].sort((a, b) => a - b),
  );
  assert.ok((seen.at(-1) as number) <= large);
  await mapping.evict();
});

test('an abort during it rejects with the reason', slow, async () => {
  using mapping = sparse();
  const controller = new AbortController();
  const reason = new Error('enough');
  let calls = 0;
  const onProgress = () => {
    calls++;
    controller.abort(reason);
  };
  const { signal } = controller;
  const started = mapping.prefetch({}, { signal, onProgress });
  await assert.rejects(started, (error) => error === reason);
  assert.ok(calls >= 1);
  await mapping.evict();
});

test('a signal is let go', async () => {
  using mapping = map(temporaryFile(length));
  const listeners = new Set<unknown>();
  const signal = new AbortController().signal;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...call: [never, never]) => {
    listeners.add(call[1]);
    addEventListener.apply(signal, call);
  };
  signal.removeEventListener = (...call: [never, never]) => {
    listeners.delete(call[1]);
    removeEventListener.apply(signal, call);
  };
  await mapping.prefetch({}, { signal });
  assert.equal(listeners.size, 0);
});

test('a listener that is called too late does nothing', async () => {
  using mapping = map(temporaryFile(length));
  let abort = () => {};
  const signal = {
    aborted: false,
    throwIfAborted() {},
    addEventListener: (_: string, listener: () => void) => {
      abort = listener;
    },
    removeEventListener() {},
  };
  await mapping.prefetch({}, { signal: signal as never });
  const others = Array.from({ length: 50 }, () => mapping.prefetch());
  for (let i = 0; i < 50; i++) abort();
  await Promise.all(others);
});

test('close in the middle leaves the work its memory', async () => {
  const mapping = sparse();
  const started = mapping.prefetch();
  mapping.close();
  await assert.rejects(started, { code: 'ERR_MEMMAP_CLOSED' });
});

test('a resize in the middle is made, or refused with the cure', async () => {
  for (const capacity of [undefined, length]) {
    using mapping = map(temporaryFile(length), { access: 'write', capacity });
    for (const verb of ['prefetch', 'evict', 'flush'] as const) {
      const started = mapping[verb]();
      try {
        mapping.resize(pageSize);
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'EBUSY');
        assert.match((error as { hint?: string }).hint ?? '', /await it, or map with a capacity/);
      }
      await started;
      mapping.resize(length);
    }
  }
});

test('work that was awaited does not stand in the way', async () => {
  using mapping = map(temporaryFile(length), { access: 'write' });
  const rounds = isEmulated ? 20 : 1000;
  for (let round = 0; round < rounds; round++) {
    await mapping[(['prefetch', 'evict', 'flush'] as const)[round % 3] as 'flush']({ length: 1 });
    mapping.resize(round % 2 ? length : pageSize);
  }
});
