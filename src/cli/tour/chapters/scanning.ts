import { closeSync, createReadStream, openSync, writeSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { map } from '../../../index.ts';
import {
  count,
  find,
  findLast,
  LineIndex,
  lineCount,
  mapParallel,
  matches,
} from '../../../scan/index.ts';
import type { Chapter, Tour } from '../chapter.ts';
import { countLineFeeds } from '../line-feeds.ts';

const leastBytes = 64 * 2 ** 20;
const errorEvery = 50_000;
const divider = new URL('../line-feeds.js', import.meta.url);

export const scanning: Chapter = {
  name: 'scanning',
  title: 'Searching and splitting a large file',
  about:
    "Finding and counting without a copy in the heap; and the documents' parallel processing: " +
    'every worker maps a slice of its own, cut where a line ends.',
  async run(tour) {
    tour.code(
      "await find(file, 'ERROR');                      // off the event loop; beyond 4 GiB too",
      'await LineIndex.build(file);                    // then any line at once',
      "await mapParallel(path, new URL('./count.js', import.meta.url));",
    );
    await tour.step('writing a log');
    const log = writeLog(tour.path('server.log'));
    tour.fact('a log of', log.byteLength, 'bytes');
    await tour.step('searching');
    await search(tour, log);
    await tour.step('counting lines');
    await divide(tour, log);
  },
};

/** What was written, to hold the answers against. */
interface Log {
  path: string;
  byteLength: number;
  lines: number;
  errors: number[];
}

function lineOf(number: number): string {
  const level = number % errorEvery === 0 ? 'ERROR' : 'INFO';
  return `${String(number).padStart(7)} ${level} request served in ${number % 97} ms`;
}

function writeLog(path: string): Log {
  const log: Log = { path, byteLength: 0, lines: 0, errors: [] };
  const fd = openSync(path, 'w');
  try {
    while (log.byteLength < leastBytes) {
      let text = '';
      while (text.length < 2 ** 20) {
        const line = lineOf(++log.lines);
        if (line.includes('ERROR')) {
          log.errors.push(log.byteLength + text.length + line.indexOf('ERROR'));
        }
        text += `${line}\n`;
      }
      for (let done = 0; done < text.length; ) done += writeSync(fd, text.slice(done));
      log.byteLength += text.length;
    }
  } finally {
    closeSync(fd);
  }
  return log;
}

async function search(tour: Tour, { path, lines, errors }: Log): Promise<void> {
  using file = map(path);
  const check = (call: string, answer: number, expected: number | undefined) => {
    tour.fact(call, answer, 'count');
    if (answer !== expected) throw new Error(`Cannot trust ${call}: ${answer}, not ${expected}`);
  };
  check("find(file, 'ERROR')", await find(file, 'ERROR'), errors[0]);
  check("findLast(file, 'ERROR')", await findLast(file, 'ERROR'), errors.at(-1));
  check("count(file, 'ERROR')", await count(file, 'ERROR'), errors.length);
  check('lineCount(file)', await lineCount(file), lines);
  const [first] = matches(file, /served in (\d\d) ms/, { from: errors.at(-1) ?? 0 });
  tour.fact(
    'the first match of /served in (\\d\\d) ms/',
    String(first?.match[1]),
    null,
    'near the end',
  );
  const index = await LineIndex.build(file);
  const number = Math.floor(lines / 2);
  const line = index.line(number - 1).toString();
  tour.fact(`line ${number.toLocaleString('en-US')}`, 'at once', null, line.trim());
  if (line !== lineOf(number)) throw new Error(`Cannot trust line ${number}: '${line}'`);
}

/** The same count by a stream, by one thread over a mapping, in workers, and by the kernels. */
async function divide(tour: Tour, { path, lines }: Log): Promise<void> {
  const workers = availableParallelism();
  const ways: [string, () => number | Promise<number>][] = [
    ['fs.createReadStream, one thread', () => countStream(path)],
    ['a loop over the mapping, one thread', () => countLoop(path)],
    [`mapParallel, ${workers} workers`, () => countInWorkers(path, workers)],
    ['lineCount', () => countNative(path)],
  ];
  const rows: { label: string; value: number }[] = [];
  for (const [label, work] of ways) {
    await work(); // to start workers and compile loops
    const start = performance.now();
    const answer = await work();
    rows.push({ label, value: performance.now() - start });
    if (answer !== lines) throw new Error(`Cannot trust ${label}: ${answer} lines, not ${lines}`);
  }
  tour.compare('Counting the lines: the same answer', 'ms', rows);
}

async function countStream(path: string): Promise<number> {
  let lines = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) {
    lines += countLineFeeds(chunk);
  }
  return lines;
}

function countLoop(path: string): number {
  using file = map(path);
  return countLineFeeds(file.bytes);
}

async function countInWorkers(path: string, workers: number): Promise<number> {
  const counts = await mapParallel<number>(path, divider, { workers });
  return counts.reduce((sum, lines) => sum + lines, 0);
}

async function countNative(path: string): Promise<number> {
  using file = map(path);
  return await lineCount(file);
}
