/**
 * Opening, the collector, random loads and flushing: the first rows of the speed table.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { map } from 'memmap';
import { expectEqual, milliseconds, report } from './measure.ts';
import { startRival } from './rival.ts';

const GiB = 2 ** 30;

/** Microseconds for map, one load through a window, close; the collector's work included. */
async function openClose(path: string, count: number): Promise<number> {
  const start = process.hrtime.bigint();
  for (let i = 0; i < count; i++) {
    const mapping = map(path);
    mapping.window(0, 1)[0];
    mapping.close();
    // As in a program: the event loop turns now and then, and finalizers run.
    if (i % 256 === 255) await new Promise((resolve) => setImmediate(resolve));
  }
  return Number(process.hrtime.bigint() - start) / 1e3 / count;
}

function markCompacts(path: string): number {
  const source = `
    import { map } from 'memmap';
    import { PerformanceObserver, constants } from 'node:perf_hooks';
    let count = 0;
    const observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        if (entry.detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) count++;
      }
    });
    observer.observe({ entryTypes: ['gc'] });
    for (let i = 0; i < 300; i++) { const m = map(${JSON.stringify(path)}); m.window(0, 4096)[0]; m.close(); }
    await new Promise((resolve) => setTimeout(resolve, 50));
    console.log(count);`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', source]);
  return Number(stdout);
}

/** No closure around the loop: a captured sum would be a heap number for each step. */
function sumRandom(values: Float64Array, count: number): number {
  const mask = values.length - 1;
  let sum = 0;
  let state = 1;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    sum += values[(state >>> 5) & mask] as number;
  }
  return sum;
}

function randomLoads(values: Float64Array, count: number): { ms: number; sum: number } {
  let sum = 0;
  const ms = milliseconds(() => {
    sum = sumRandom(values, count);
  });
  return { ms, sum };
}

function randomReads(path: string, length: number, count: number): { ms: number; sum: number } {
  const fd = openSync(path, 'r');
  const one = new Float64Array(1);
  const mask = length / 8 - 1;
  let sum = 0;
  const ms = milliseconds(() => {
    let state = 1;
    for (let i = 0; i < count; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      readSync(fd, one, 0, 8, ((state >>> 5) & mask) * 8);
      sum += one[0] as number;
    }
  });
  closeSync(fd);
  return { ms, sum };
}

/** Runs work and returns the longest time between two turns of the event loop meanwhile. */
async function longestGap(work: () => Promise<void> | void): Promise<number> {
  let longest = 0;
  let last = process.hrtime.bigint();
  let isDone = false;
  const turn = () => {
    const now = process.hrtime.bigint();
    longest = Math.max(longest, Number(now - last) / 1e6);
    last = now;
    if (!isDone) setImmediate(turn);
  };
  setImmediate(turn);
  await new Promise((resolve) => setTimeout(resolve, 5));
  await work();
  isDone = true;
  await new Promise((resolve) => setTimeout(resolve, 5));
  return longest;
}

/** Longest gap of the event loop while 512 MiB of stores go to the disk. */
async function flushGap(path: string, how: 'flush' | 'flushSync'): Promise<number> {
  using mapping = map(path, { access: 'write', create: true, extend: true, length: GiB / 2 });
  const words = mapping.view(Uint32Array);
  for (let i = 0; i < words.length; i += 1024) words[i] = Math.random() * 2 ** 32;
  return await longestGap(() => (how === 'flush' ? mapping.flush() : mapping.flushSync()));
}

export async function run(directory: string, rounds: number): Promise<void> {
  const small = `${directory}/small`;
  const large = `${directory}/large`;
  const dirty = `${directory}/dirty`;
  const rival = startRival('mapping');
  writeFileSync(small, Buffer.alloc(4096, 1));
  writeFileSync(large, '');
  truncateSync(large, GiB);
  using filled = map(large, { access: 'write' });
  const stored = filled.view(Float64Array);
  for (let i = 0; i < stored.length; i++) stored[i] = i % 1000;
  filled.flushSync();
  // Its pages come in as the rival's do: one by one, when they are touched.
  using opened = map(large);
  const numbers = opened.view(Float64Array);
  opened.bytes.indexOf(255);

  for (const [name, path] of [
    ['4 KiB', small],
    ['1 GiB', large],
  ] as const) {
    await report(
      {
        work: `map, load a byte through a window, close: ${name}`,
        unit: 'us',
        limit: 'at most 3x C',
        contenders: [
          { name: 'memmap', run: () => openClose(path, 4000) },
          { name: 'C', run: async () => (await rival.ask(`open ${path} 4000`))[0] as number },
        ],
      },
      rounds,
    );
  }
  await report(
    {
      work: 'mark-compacts for 300 mappings used by windows',
      unit: 'collections',
      limit: 'as many as for 4 KiB',
      contenders: [
        { name: 'of 1 GiB', run: () => markCompacts(large) },
        { name: 'of 4 KiB', run: () => markCompacts(small) },
      ],
    },
    3,
  );
  const count = 1_000_000;
  const expected = (await rival.ask(`random ${large} ${count}`))[1];
  const heap = new Float64Array(numbers);
  await report(
    {
      work: '1e6 random 8-byte loads of 1 GiB, warm',
      unit: 'ms',
      limit: 'within 10 % of C',
      contenders: [
        {
          name: 'memmap view(Float64Array)',
          run() {
            randomLoads(numbers, count); // as the rival: the second pass is timed
            const { ms, sum } = randomLoads(numbers, count);
            expectEqual(sum, expected, 'sum of random loads');
            return ms;
          },
        },
        { name: 'C', run: async () => (await rival.ask(`random ${large} ${count}`))[0] as number },
        {
          name: 'new Float64Array, no mapping',
          run() {
            randomLoads(heap, count);
            return randomLoads(heap, count).ms;
          },
        },
        {
          name: 'fs.readSync',
          run() {
            const { ms, sum } = randomReads(large, GiB, count);
            expectEqual(sum, expected, 'sum of random reads');
            return ms;
          },
        },
      ],
    },
    rounds,
  );
  await report(
    {
      work: 'flush of 512 MiB of stores: longest gap of the event loop',
      unit: 'ms',
      limit: 'at most 10 ms',
      contenders: [
        { name: 'flush()', run: () => flushGap(dirty, 'flush') },
        { name: 'flushSync()', run: () => flushGap(dirty, 'flushSync') },
      ],
    },
    Math.min(rounds, 3),
  );
  rival.end();
  for (const path of [small, large, dirty]) rmSync(path, { force: true });
}
