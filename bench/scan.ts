/**
 * Scans of huge files against the tools that people use: find and count against ripgrep, lines
 * against wc, words with mapParallel against one thread and against streaming with fs.
 *
 *   node build/bench/scan.js [directory] [rounds]
 *
 * Needs `rg` and `wc`. Times are medians of rounds in which the rivals take turns, as ratios to the
 * rival. Rivals are whole processes, whose start (2 to 4 ms) is theirs; ours are calls. `fresh` is
 * a new mapping, whose pages the kernel hands out while they are scanned, and its close; `mapped`
 * one that was scanned before. `cold`: nothing of the file is in memory. All counts are compared.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, createReadStream, existsSync, openSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { map } from 'memmap';
import { count, find, LineIndex, lineCount, mapParallel } from 'memmap/scan';
import countWords from './scan-words.ts';

const directory = process.argv[2] ?? tmpdir();
const rounds = Number(process.argv[3] ?? 7);

/** Text as people write it, as far as searching is concerned: a few thousand words, by Zipf's law. */
function makeText(path: string, bytes: number): string {
  if (existsSync(path) && statSync(path).size === bytes) return path;
  let state = 1;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const syllables = 'ka lo mi ten der sha ro un ing es ta al pre con ver ly st ment or th'.split(
    ' ',
  );
  const words = Array.from({ length: 5000 }, () => {
    const length = 1 + Math.floor(random() * 4);
    return Array.from({ length }, () => syllables[Math.floor(random() * syllables.length)]).join(
      '',
    );
  });
  let text = '';
  let column = 0;
  while (text.length < 16 * 2 ** 20) {
    const word = words[Math.floor(words.length ** random()) - 1] ?? 'end';
    text += word;
    column += word.length;
    if (column > 70) column = 0;
    text += column === 0 ? (random() < 0.02 ? ' Zürich, 1848.\n' : '\n') : ' ';
  }
  const block = Buffer.from(text);
  const fd = openSync(path, 'w');
  for (let at = 0; at < bytes; at += block.length) {
    writeSync(fd, block, 0, Math.min(block.length, bytes - at));
  }
  closeSync(fd);
  return path;
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}

function runTool(command: string, ...args: string[]): number {
  const { stdout, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (error) throw error;
  return Number.parseInt(stdout || '0', 10);
}

/** A way to an answer; the first of a row is the rival. */
type Way = [name: string, run: () => number | Promise<number>];

async function race(title: string, ways: Way[], before?: () => Promise<void>): Promise<void> {
  const times = ways.map(() => [] as number[]);
  let expected: number | undefined;
  for (let round = 0; round < rounds; round++) {
    for (const [i, [name, run]] of ways.entries()) {
      await before?.();
      const start = performance.now();
      const answer = await run();
      times[i]?.push(performance.now() - start);
      expected ??= answer;
      assert.equal(answer, expected, `${title}: ${name} gives another answer`);
    }
  }
  const rival = median(times[0] as number[]);
  console.log(`\n${title}: ${expected}`);
  for (const [i, [name]] of ways.entries()) {
    const time = median(times[i] as number[]);
    console.log(
      `  ${name.padEnd(34)} ${time.toFixed(1).padStart(8)} ms  ${(time / rival).toFixed(2)}x`,
    );
  }
}

const path = makeText(join(directory, 'memmap-bench-1g.txt'), 2 ** 30);
const kept = map(path);

async function fresh(work: (mapping: ReturnType<typeof map>) => Promise<number>): Promise<number> {
  using mapping = map(path);
  return await work(mapping);
}

async function evict(): Promise<void> {
  using mapping = map(path);
  await kept.evict();
  const { resident } = await mapping.evict();
  assert.equal(resident, 0, 'the page cache keeps the file');
}

const absent = 'no such words';
const literals = [absent, 'Zürich', 'ment or ka'];
await lineCount(kept);

for (const literal of literals) {
  await race(`count '${literal}' in 1 GiB, warm`, [
    [
      'rg --fixed-strings --count-matches',
      () => runTool('rg', '-j1', '-F', '--count-matches', literal, path),
    ],
    ['count, fresh', () => fresh((mapping) => count(mapping, literal))],
    ['count, mapped', () => count(kept, literal)],
    ['count, mapped, 2 threads', () => count(kept, literal, { threads: 2 })],
    ['count, fresh, 2 threads', () => fresh((mapping) => count(mapping, literal, { threads: 2 }))],
  ]);
}

const found = (offset: number) => (offset < 0 ? 0 : 1);
await race(`find '${absent}' in 1 GiB, warm`, [
  ['rg --fixed-strings --quiet', () => runTool('rg', '-j1', '-F', '-q', absent, path)],
  ['find, fresh', () => fresh(async (mapping) => found(await find(mapping, absent)))],
  ['find, mapped', async () => found(await find(kept, absent))],
  ['find, mapped, 2 threads', async () => found(await find(kept, absent, { threads: 2 }))],
]);

await race('lines of 1 GiB, warm', [
  ['wc -l', () => runTool('wc', '-l', path)],
  ['lineCount, fresh', () => fresh((mapping) => count(mapping, '\n'))],
  ['lineCount, mapped', () => count(kept, '\n')],
  ['lineCount, mapped, 2 threads', () => count(kept, '\n', { threads: 2 })],
]);

await race(
  'lines of 1 GiB, cold',
  [
    ['wc -l', () => runTool('wc', '-l', path)],
    ['lineCount, fresh', () => fresh((mapping) => count(mapping, '\n'))],
    ['lineCount, fresh, 2 threads', () => fresh((mapping) => count(mapping, '\n', { threads: 2 }))],
  ],
  evict,
);
await race(
  `count '${absent}' in 1 GiB, cold`,
  [
    [
      'rg --fixed-strings --count-matches',
      () => runTool('rg', '-j1', '-F', '--count-matches', absent, path),
    ],
    ['count, fresh', () => fresh((mapping) => count(mapping, absent))],
    ['count, fresh, 2 threads', () => fresh((mapping) => count(mapping, absent, { threads: 2 }))],
  ],
  evict,
);
{
  await lineCount(kept);
  const start = performance.now();
  const index = await LineIndex.build(kept);
  const built = performance.now() - start;
  const times = Array.from({ length: 1000 }, (_, i) => {
    const n = Math.floor((index.lineCount * i) / 1000);
    const before = performance.now();
    index.line(n);
    return performance.now() - before;
  });
  console.log(`\nLineIndex of ${index.lineCount} lines: built in ${built.toFixed(1)} ms,`);
  console.log(`  a line in ${(median(times) * 1000).toFixed(1)} us`);
}
kept.close();

const large = makeText(join(directory, 'memmap-bench-2g.txt'), 2 ** 31);
const words = new URL('./scan-words.js', import.meta.url);

async function streamed(): Promise<number> {
  let sum = 0;
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(large, { highWaterMark: 2 ** 20 })) {
    const bytes: Buffer = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    const end = bytes.lastIndexOf(10) + 1;
    sum += countWords(bytes.subarray(0, end));
    rest = bytes.subarray(end);
  }
  return sum + countWords(rest);
}

async function parallel(workers: number): Promise<number> {
  const counts = await mapParallel<number>(large, words, { workers });
  return counts.reduce((sum, each) => sum + each, 0);
}

function oneThread(): number {
  using mapping = map(large);
  let sum = 0;
  for (let at = 0; at < mapping.byteLength; ) {
    const length = Math.min(2 ** 28, mapping.byteLength - at);
    const window = mapping.window(at, length);
    const end = at + length === mapping.byteLength ? length : window.lastIndexOf(10) + 1;
    sum += countWords(window.subarray(0, end));
    at += end;
  }
  return sum;
}

await race('words of 2 GiB, warm', [
  ['fs.createReadStream', streamed],
  ['one thread over a mapping', oneThread],
  ['mapParallel, 1 worker', () => parallel(1)],
  ['mapParallel, 2 workers', () => parallel(2)],
]);
