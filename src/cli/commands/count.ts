/**
 * `memmap count`: the lines, words or bytes of a huge file.
 */
import { availableParallelism } from 'node:os';
import type { Command } from 'commander';
import { type Mapping, map } from '../../index.ts';
import { count as countPattern, lineCount, mapParallel } from '../../scan/index.ts';
import type { CommandModule, Invocation } from '../command.ts';
import { type Cost, costText, measure } from '../effort.ts';
import { describeError, usage } from '../errors.ts';
import { Exit } from '../exit.ts';
import { printable } from '../format.ts';
import { interruptible } from '../interrupt.ts';
import type { Output } from '../output.ts';
import { Progress } from '../progress.ts';
import { parsePositive } from '../size.ts';
import { countWords } from '../words.ts';

interface CountOptions {
  jobs?: number;
}

const quantities = ['lines', 'newlines', 'words', 'bytes'] as const;
type Quantity = (typeof quantities)[number];
type Counts = Record<Quantity, number | null>;

const mostThreads = 4; // memory is not faster with more

function configure(command: Command): void {
  command
    .argument('<file>', 'a file')
    .argument('[what...]', 'lines, newlines, words, bytes; default: lines words bytes')
    .description(
      `Counts as wc does, from files of any size. A last line without newline counts among the lines,
and not among the newlines, which are what wc -l counts.`,
    )
    .option('--jobs <n>', 'threads; default: as many as help', parsePositive);
}

interface Work {
  readonly mapping: Mapping;
  readonly file: string;
  readonly threads: number;
  readonly signal: AbortSignal;
  readonly progress: Progress;
}

const windowBytes = 4 * 2 ** 20;

/** Words on this thread, with a look at Ctrl-C between windows. */
async function wordsHere({ mapping, signal, progress }: Work): Promise<number> {
  let words = 0;
  let isInside = false;
  for (let at = 0; at < mapping.byteLength; at += windowBytes) {
    signal.throwIfAborted();
    const part = mapping.window(at, Math.min(windowBytes, mapping.byteLength - at));
    const found = countWords(part, isInside);
    words += found.words;
    isInside = found.isInside;
    progress.tell(at);
    await new Promise((resolve) => setImmediate(resolve));
  }
  mapping.check();
  return words;
}

const worthWorkers = 16 * 2 ** 20;

async function words(work: Work): Promise<number> {
  const { mapping, file, threads, signal, progress } = work;
  if (threads === 1 || mapping.byteLength < worthWorkers) return wordsHere(work);
  try {
    const parts = await mapParallel<number>(file, new URL('../words.js', import.meta.url), {
      workers: threads,
      signal,
      onProgress: ({ done }) => progress.tell(done),
    });
    return parts.reduce((sum, part) => sum + part, 0);
  } catch (error) {
    // Without newlines it cannot be cut.
    if (describeError(error).code !== 'ERR_OUT_OF_RANGE') throw error;
    return wordsHere(work);
  }
}

async function countOne(what: Quantity, work: Work): Promise<number> {
  const { mapping, threads, signal, progress } = work;
  const onProgress = ({ done }: { done: number }) => progress.tell(done);
  const options = { threads, signal, onProgress };
  switch (what) {
    case 'lines':
      return lineCount(mapping, options);
    case 'newlines':
      return countPattern(mapping, '\n', options);
    case 'words':
      return words(work);
    case 'bytes':
      return mapping.byteLength;
  }
}

function wanted(names: readonly string[]): Quantity[] {
  const unknown = names.find((name) => !quantities.includes(name as Quantity));
  if (unknown !== undefined) {
    throw usage(`${printable(unknown)} cannot be counted`, `one of ${quantities.join(', ')}`);
  }
  const asked = names.length === 0 ? ['lines', 'words', 'bytes'] : names;
  return quantities.filter((name) => asked.includes(name));
}

function show(file: string, counts: Counts, asked: readonly Quantity[], cost: Cost, out: Output) {
  const values = asked.map((name) => String(counts[name]));
  out.text(`${values.map((value) => value.padStart(7)).join(' ')} ${printable(file)}`);
  if (out.mode === 'plain') out.raw([...values, printable(file)].join('\t'));
  out.document({ path: file, ...counts, ...cost });
  out.detail(`${asked.join(', ')} in ${costText(cost)}`);
}

async function run({ args, options, out }: Invocation<CountOptions>): Promise<number> {
  const [file, ...names] = args as [string, ...string[]];
  const asked = wanted(names);
  using mapping = map(file);
  const threads = options.jobs ?? Math.min(mostThreads, availableParallelism());
  return await interruptible(async ({ signal }) => {
    const cost = measure();
    const progress = new Progress(out, printable(file), mapping.byteLength);
    const counts: Counts = { lines: null, newlines: null, words: null, bytes: null };
    try {
      for (const what of asked) {
        counts[what] = await countOne(what, { mapping, file, threads, signal, progress });
      }
    } catch (error) {
      if (!signal.aborted) throw error;
      out.warn('interrupted: nothing is said of the rest');
      return Exit.no;
    } finally {
      progress.end();
    }
    show(file, counts, asked, cost(mapping.byteLength), out);
    return Exit.ok;
  });
}

export const count: CommandModule = {
  configure,
  modes: ['json', 'plain'],
  examples: [
    ['memmap count access.log', 'lines, words and bytes'],
    ['memmap count access.log lines -v', 'lines, with time and faults'],
    ['memmap count --jobs 8 access.log words', 'on eight threads'],
  ],
  run,
};
