/**
 * Scans of huge files against the tools that people use: find and count against ripgrep, lines
 * against wc, words with mapParallel against one thread and against streaming with fs.
 *
 * Needs `rg` and `wc`, whole processes whose start (2 to 4 ms) is theirs; ours are calls. `fresh` is
 * a new mapping, whose pages the kernel hands out while they are scanned, and its close; `mapped`
 * one that was scanned before. `cold`: nothing of the file is in memory. All counts are compared.
 * The last line of the first row is what memory itself takes, without any work. ripgrep maps a file
 * that is named to it; `--no-mmap` is how it reads those that it finds in folders.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, createReadStream, existsSync, openSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Mapping, map } from 'memmap';
import { count, find, LineIndex, lineCount, mapParallel } from 'memmap/scan';
import { type Contender, expectEqual, median, report } from './measure.ts';
import { startRival } from './rival.ts';
import countWords from './scan-words.ts';

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

function tool(command: string, ...args: string[]): number {
  const { stdout, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (error) throw error;
  return Number.parseInt(stdout || '0', 10);
}

type Answer = number | Promise<number>;

/** Rows whose contenders must give one answer; each is timed in milliseconds. */
class Race {
  readonly #work: string;
  readonly #before: (() => Promise<void>) | undefined;
  readonly contenders: Contender[] = [];
  #expected: number | undefined;

  constructor(work: string, before?: () => Promise<void>) {
    this.#work = work;
    this.#before = before;
  }

  add(name: string, work: () => Answer): this {
    const run = async () => {
      await this.#before?.();
      const start = performance.now();
      const answer = await work();
      const time = performance.now() - start;
      this.#expected ??= answer;
      expectEqual(answer, this.#expected, `${this.#work}: ${name}`);
      return time;
    };
    this.contenders.push({ name, run });
    return this;
  }

  /** Without an answer: milliseconds from elsewhere. */
  addFigure(name: string, run: () => Promise<number>): this {
    this.contenders.push({ name, run });
    return this;
  }

  async run(rounds: number, limit?: string): Promise<void> {
    const { contenders } = this;
    await report(
      { work: this.#work, unit: 'ms', contenders, ...(limit === undefined ? {} : { limit }) },
      rounds,
    );
    console.log(`  all answer ${this.#expected}`);
  }
}

const absent = 'no such words';

class Literals {
  readonly #path: string;
  readonly #kept: Mapping;
  readonly #rounds: number;

  constructor(path: string, kept: Mapping, rounds: number) {
    this.#path = path;
    this.#kept = kept;
    this.#rounds = rounds;
  }

  #fresh(work: (mapping: Mapping) => Promise<number>): () => Promise<number> {
    return async () => {
      using mapping = map(this.#path);
      return await work(mapping);
    };
  }

  /** Puts the file out of memory, which works while nobody has it in a page table. */
  #evict = async (): Promise<void> => {
    await this.#kept.evict();
    using mapping = map(this.#path);
    const { resident } = await mapping.evict();
    expectEqual(resident, 0, 'pages that stay in the page cache');
  };

  async find(): Promise<void> {
    const found = (offset: number) => (offset < 0 ? 0 : 1);
    const memory = startRival('scan');
    const kept = this.#kept;
    await new Race(`find '${absent}' in 1 GiB, warm`)
      .add('rg -F -q', () => tool('rg', '-j1', '-F', '-q', absent, this.#path))
      .add('rg -F -q --no-mmap', () =>
        tool('rg', '-j1', '-F', '-q', '--no-mmap', absent, this.#path),
      )
      .add(
        'find, fresh',
        this.#fresh(async (m) => found(await find(m, absent))),
      )
      .add('find, mapped', async () => found(await find(kept, absent)))
      .add('find, mapped, 2 threads', async () => found(await find(kept, absent, { threads: 2 })))
      .addFigure('C: load every byte, one thread', async () => {
        const [milliseconds] = await memory.ask(`read ${this.#path}`);
        return milliseconds as number;
      })
      .run(this.#rounds, 'half of ripgrep on one thread');
    memory.end();
  }

  async count(literal: string): Promise<void> {
    const kept = this.#kept;
    await new Race(`count '${literal}' in 1 GiB, warm`)
      .add('rg -F --count-matches', () =>
        tool('rg', '-j1', '-F', '--count-matches', literal, this.#path),
      )
      .add(
        'count, fresh',
        this.#fresh((m) => count(m, literal)),
      )
      .add(
        'count, fresh, 2 threads',
        this.#fresh((m) => count(m, literal, { threads: 2 })),
      )
      .add('count, mapped', () => count(kept, literal))
      .add('count, mapped, 2 threads', () => count(kept, literal, { threads: 2 }))
      .run(this.#rounds);
  }

  async lines(): Promise<void> {
    const kept = this.#kept;
    await new Race('lines of 1 GiB, warm')
      .add('wc -l', () => tool('wc', '-l', this.#path))
      .add(
        'lineCount, fresh',
        this.#fresh((m) => count(m, '\n')),
      )
      .add('lineCount, mapped', () => count(kept, '\n'))
      .add('lineCount, mapped, 2 threads', () => count(kept, '\n', { threads: 2 }))
      .run(this.#rounds, '0.6 of wc -l');
  }

  async cold(): Promise<void> {
    await new Race('lines of 1 GiB, cold', this.#evict)
      .add('wc -l', () => tool('wc', '-l', this.#path))
      .add(
        'lineCount, fresh',
        this.#fresh((m) => count(m, '\n')),
      )
      .add(
        'lineCount, fresh, 2 threads',
        this.#fresh((m) => count(m, '\n', { threads: 2 })),
      )
      .run(this.#rounds);
    await new Race(`count '${absent}' in 1 GiB, cold`, this.#evict)
      .add('rg -F --count-matches', () =>
        tool('rg', '-j1', '-F', '--count-matches', absent, this.#path),
      )
      .add(
        'count, fresh',
        this.#fresh((m) => count(m, absent)),
      )
      .add(
        'count, fresh, 2 threads',
        this.#fresh((m) => count(m, absent, { threads: 2 })),
      )
      .run(this.#rounds);
  }
}

async function lineIndex(kept: Mapping): Promise<void> {
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

async function countStream(path: string): Promise<number> {
  let sum = 0;
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) {
    const bytes: Buffer = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    const end = bytes.lastIndexOf(10) + 1;
    sum += countWords(bytes.subarray(0, end));
    rest = bytes.subarray(end);
  }
  return sum + countWords(rest);
}

async function countParallel(path: string, workers: number): Promise<number> {
  const words = new URL('./scan-words.js', import.meta.url);
  const counts = await mapParallel<number>(path, words, { workers });
  return counts.reduce((sum, each) => sum + each, 0);
}

function countAlone(path: string): number {
  using mapping = map(path);
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

/** The benchmark; its texts take 3 GiB. */
export async function run(directory: string, rounds: number): Promise<void> {
  const path = makeText(join(directory, '1g.txt'), 2 ** 30);
  {
    using kept = map(path);
    await lineCount(kept);
    const literals = new Literals(path, kept, rounds);
    await literals.find();
    for (const literal of [absent, 'Zürich', 'ment or ka']) await literals.count(literal);
    await literals.lines();
    await lineIndex(kept);
    await literals.cold();
  }
  const large = makeText(join(directory, '2g.txt'), 2 ** 31);
  await new Race('words of 2 GiB, warm')
    .add('fs.createReadStream', () => countStream(large))
    .add('one thread over a mapping', () => countAlone(large))
    .add('mapParallel, 1 worker', () => countParallel(large, 1))
    .add('mapParallel, 2 workers', () => countParallel(large, 2))
    .run(rounds);
}
