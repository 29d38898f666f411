/**
 * A file that is cut while it is scanned: the FaultError, never a wrong count.
 */
import assert from 'node:assert/strict';
import { truncateSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { FaultError, map } from 'memmap';
import {
  count,
  countSync,
  find,
  findAll,
  findLast,
  findSync,
  LineIndex,
  lineCount,
  lines,
  mapParallel,
  matches,
} from 'memmap/scan';
import { runModule } from '../support/child.ts';
import { temporaryFile, temporaryPath } from '../support/temporary.ts';

const size = 64 * 2 ** 20;

function isTruncated(error: unknown): boolean {
  assert.ok(error instanceof FaultError);
  assert.equal(error.code, 'ERR_MEMMAP_TRUNCATED');
  return true;
}

test('cut before it is touched, at a page and inside one', async () => {
  for (const left of [0, 1, 5000, 8192]) {
    const path = temporaryFile(Buffer.alloc(20_000, 'line\n'));
    using mapping = map(path);
    truncateSync(path, left);
    await assert.rejects(count(mapping, 'line'), isTruncated);
    await assert.rejects(lineCount(mapping, { threads: 4 }), isTruncated);
    await assert.rejects(find(mapping, 'absent'), isTruncated);
    await assert.rejects(findLast(mapping, 'line'), isTruncated);
    await assert.rejects(LineIndex.build(mapping), isTruncated);
    assert.throws(() => countSync(mapping, 'line'), isTruncated);
    assert.throws(() => [...lines(mapping)], isTruncated);
    assert.throws(() => [...matches(mapping, /line/)], isTruncated);
    await assert.rejects(async () => {
      for await (const _ of findAll(mapping, 'line'));
    }, isTruncated);
    if (left >= 5000) assert.equal(findSync(mapping, 'line'), 0);
    mapping.check();
  }
});

test('cut inside its last page, where nothing faults', async () => {
  const path = temporaryFile('line\n'.repeat(100));
  using mapping = map(path);
  assert.equal(await lineCount(mapping), 100);
  truncateSync(path, 250);
  await assert.rejects(lineCount(mapping), isTruncated);
  assert.equal(await lineCount(mapping, { to: 250 }), 50);
  assert.equal(await find(mapping, 'line', { from: 200 }), 200);
  await assert.rejects(find(mapping, 'line', { from: 248 }), isTruncated);
});

test('cut in the middle of the scan: the count is right or there is none', async () => {
  const path = temporaryPath();
  const whole = Buffer.alloc(size, 'needle.\n');
  let faults = 0;
  for (let round = 0; round < 24; round++) {
    writeFileSync(path, whole);
    using mapping = map(path);
    const threads = 1 + (round % 3);
    let isCut = false;
    const onProgress = () => {
      if (!isCut) truncateSync(path, size - 4096 * (round + 1) + (round % 2) * 100);
      isCut = true;
    };
    const scans = [
      () => count(mapping, 'needle', { threads, onProgress }),
      () => lineCount(mapping, { threads, onProgress }),
    ];
    const outcome = await (scans[round % 2] as () => Promise<number>)().catch((error) => {
      isTruncated(error);
      faults++;
      return size / 8;
    });
    assert.equal(outcome, size / 8);
  }
  assert.ok(faults > 0, 'no round was fast enough');
});

test('faults of a scan are not events, even with nobody listening; a closed mapping tells them too', async () => {
  const source = `
    import { truncateSync, writeFileSync } from 'node:fs';
    import { setTimeout } from 'node:timers/promises';
    import { map } from 'memmap';
    import { count } from 'memmap/scan';
    const path = process.argv.at(-1);
    for (const isClosed of [false, true]) {
      writeFileSync(path, Buffer.alloc(${size}, 'x'));
      const mapping = map(path);
      truncateSync(path, 4096);
      const counting = count(mapping, 'yy');
      if (isClosed) mapping.close();
      console.log(await counting.catch((error) => error.code));
      await setTimeout(50);
    }
  `;
  const ending = await runModule(source, { args: [temporaryPath()] });
  const [first, second] = ending.stdout.trim().split('\n');
  assert.equal(ending.stderr, '');
  assert.equal(ending.code, 0);
  assert.deepEqual([first, second], ['ERR_MEMMAP_TRUNCATED', 'ERR_MEMMAP_TRUNCATED']);
});

test('mapParallel: cut while its workers run', async () => {
  const path = temporaryFile('line\n'.repeat(100_000));
  const source = `
    import { truncateSync } from 'node:fs';
    export default (slice, { index, argument }) => {
      if (index === 1) truncateSync(argument, 250_000);
      let sum = 0;
      for (const byte of slice) sum += byte;
      return sum;
    }`;
  const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
  const options = { workers: 1, sliceLength: 50_000, argument: path };
  await assert.rejects(mapParallel(path, url, options), isTruncated);
});
