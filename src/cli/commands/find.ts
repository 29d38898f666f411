/**
 * `memmap find`: looks for a text or bytes in a huge file.
 */
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import type { Command } from 'commander';
import { type Mapping, map } from '../../index.ts';
import type { CommandModule, Invocation } from '../command.ts';
import { type Cost, costText, measure } from '../effort.ts';
import { usage } from '../errors.ts';
import { Exit } from '../exit.ts';
import { printable } from '../format.ts';
import { interruptible } from '../interrupt.ts';
import { countPlaces, LineFinder, needleOf, type Place, placesOf } from '../matching.ts';
import type { Output } from '../output.ts';
import { Progress } from '../progress.ts';
import { unheardSignal } from '../screen.ts';
import { type ByteRange, clip, parsePositive, parseRange } from '../size.ts';

interface FindOptions {
  count?: boolean;
  onlyMatching?: boolean;
  byteOffset?: boolean;
  hex?: boolean;
  ignoreCase?: boolean;
  maxCount?: number;
  range?: ByteRange;
  jobs?: number;
  nullData?: boolean;
}

const mostThreads = 4; // memory is not faster with more

function configure(command: Command): void {
  command
    .argument('<pattern>', 'a text, not an expression; with --hex bytes')
    .argument('<file>', 'a file')
    .description(
      `Prints the lines that contain a text, as grep -F does, from files of any size. Exit 0: found;
1: not found; 2: trouble.`,
    )
    .option('-c, --count', 'only how many lines; with -o how many times')
    .option('-o, --only-matching', 'the text itself, not its line')
    .option(
      '-b, --byte-offset',
      'the byte of the file before it: of the line, or with -o of the text',
    )
    .option('--hex', "the pattern is bytes: 'de ad be ef'")
    .option('-i, --ignore-case', 'upper and lower case are alike')
    .option('-m, --max-count <n>', 'end after so many', parsePositive)
    .option('--range <range>', 'a part of the file: 1M-2M, 1M+64k, 1M-', parseRange)
    .option('--jobs <n>', 'threads; default: as many as help', parsePositive)
    .option('--null-data', 'lines end with a zero byte');
}

/** Bytes to stdout, without piling up what nobody has read yet. */
class Writer {
  #buffer = Buffer.allocUnsafe(2 ** 16);
  #length = 0;

  put(bytes: Uint8Array | string): void {
    const { length } = bytes;
    if (this.#length + length > this.#buffer.length) this.#grow(length);
    if (typeof bytes === 'string') this.#buffer.write(bytes, this.#length, 'latin1');
    else this.#buffer.set(bytes, this.#length);
    this.#length += length;
  }

  #grow(length: number): void {
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + length));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }

  async flush(): Promise<void> {
    if (this.#length === 0) return;
    const full = this.#buffer.subarray(0, this.#length);
    this.#buffer = Buffer.allocUnsafe(2 ** 16);
    this.#length = 0;
    if (unheardSignal.aborted || process.stdout.write(full)) return;
    try {
      await once(process.stdout, 'drain');
    } catch (error) {
      if (!unheardSignal.aborted) throw error;
    }
  }
}

/** Lines longer than this are shown around their first match only. */
const longestLine = 2 ** 20;
const around = 200;

function shownPart(line: Place, match: Place): Place {
  if (line.length <= longestLine) return line;
  const offset = Math.max(line.offset, match.offset - around);
  const end = Math.min(line.offset + line.length, match.offset + match.length + around);
  return { offset, length: end - offset };
}

interface Found {
  /** What is printed: the line, or with -o the match. */
  readonly place: Place;
  readonly match: Place;
}

interface Search {
  readonly mapping: Mapping;
  readonly finder: LineFinder;
  readonly options: FindOptions;
  readonly terminator: number;
}

interface Result {
  found: number;
  matches: Record<string, unknown>[];
  /** The byte behind what was looked at, where `--max-count` ended it. */
  end: number | null;
}

function matchRecord({ place, match }: Found, bytes: Buffer, options: FindOptions) {
  const text = bytes.toString('utf8');
  const isText = Buffer.byteLength(text) === bytes.length && Buffer.from(text).equals(bytes);
  return {
    offset: match.offset,
    length: match.length,
    line: options.onlyMatching ? null : place.offset,
    text: isText ? text : null,
    hex: isText ? null : bytes.toString('hex'),
  };
}

/** On a terminal bytes must not control it. */
function forEyes(bytes: Buffer, out: Output): Buffer {
  return out.isTerminal ? Buffer.from(printable(bytes.toString('utf8'))) : bytes;
}

/** Prints what comes; the result is complete as far as the loop went, whatever ends it. */
async function showAll(
  batches: AsyncIterable<readonly Place[]>,
  search: Search,
  result: Result,
  out: Output,
): Promise<void> {
  const { mapping, finder, options } = search;
  const most = options.maxCount ?? Number.POSITIVE_INFINITY;
  const writer = new Writer();
  for await (const batch of batches) {
    for (const match of batch) {
      const place = options.onlyMatching ? match : finder.lineOf(match);
      if (place === null) continue;
      result.found++;
      if (!options.count) showOne({ place, match }, search, writer, result, out);
      if (result.found < most) continue;
      result.end = match.offset + match.length;
      break;
    }
    mapping.check(); // what was cut meanwhile was read as zeros
    await writer.flush();
    if (result.end !== null || unheardSignal.aborted) break; // the answer is there
  }
}

function showOne(
  found: Found,
  { finder, options, terminator }: Search,
  writer: Writer,
  result: Result,
  out: Output,
): void {
  const bytes = finder.bytesOf(shownPart(found.place, found.match));
  if (out.mode === 'json') result.matches.push(matchRecord(found, bytes, options));
  else if (out.mode === 'ndjson') {
    writer.put(
      Buffer.from(`${out.line({ type: 'match', ...matchRecord(found, bytes, options) })}\n`),
    );
  } else {
    if (options.byteOffset || out.mode === 'plain') writer.put(`${found.place.offset}:`);
    writer.put(forEyes(bytes, out));
    writer.put(String.fromCharCode(terminator));
  }
}

function tell(
  { found, matches }: Result,
  file: string,
  pattern: string,
  { options, out }: Invocation<FindOptions>,
  cost: Cost,
  bytes: number,
): void {
  const counted = options.count ? null : matches;
  const body = { path: file, pattern, bytes, count: found, ...cost };
  if (out.mode === 'ndjson') out.document({ type: 'summary', ...body });
  else out.document({ ...body, matches: counted });
  if (options.count && (out.mode === 'text' || out.mode === 'plain')) out.raw(String(found));
  out.detail(`${found} found in ${costText(cost)}`);
}

async function run(invocation: Invocation<FindOptions>): Promise<number> {
  const { args, options, out } = invocation;
  const [pattern, file] = args as [string, string];
  const needle = needleOf(pattern, options);
  if (options.count && options.maxCount !== undefined) {
    throw usage('--count and --max-count do not go together');
  }
  using mapping = map(file);
  const span = clip(options.range, mapping.byteLength);
  const terminator = options.nullData ? 0 : 10;
  const range = { from: span.offset, to: span.offset + span.length };
  const finder = new LineFinder(mapping, range, terminator);
  const progress = new Progress(out, printable(file), span.length);
  return await interruptible(async ({ signal }) => {
    const cost = measure();
    const search: Search = { mapping, finder, options, terminator };
    const request = {
      ...range,
      threads: options.jobs ?? Math.min(mostThreads, availableParallelism()),
      signal,
      onProgress: (done: number) => progress.tell(done),
    };
    const result: Result = { found: 0, matches: [], end: null };
    try {
      if (options.count && options.onlyMatching) {
        result.found = await countPlaces(mapping, needle, request);
      } else {
        await showAll(placesOf(mapping, needle, request), search, result, out);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
      out.warn('interrupted: the rest was not looked at');
    } finally {
      progress.end();
    }
    const bytes = (result.end ?? range.to) - range.from;
    tell(result, file, pattern, invocation, cost(bytes), bytes);
    return result.found > 0 ? Exit.ok : Exit.no;
  });
}

export const find: CommandModule = {
  configure,
  modes: ['json', 'ndjson', 'plain'],
  examples: [
    ['memmap find ERROR app.log', 'lines that contain it'],
    ['memmap find -ob ERROR app.log', 'where it is: OFFSET:ERROR'],
    ["memmap find --hex 'de ad be ef' -ob dump", 'where these bytes are'],
    ['memmap find -c -v ERROR app.log', 'how many lines, time and faults'],
  ],
  run,
};
