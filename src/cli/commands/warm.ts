/**
 * `memmap warm`: brings files into memory and looks whether they came.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import type { Command } from 'commander';
import { type Mapping, map, pageSize } from '../../index.ts';
import { type FileResidency, pageFaults } from '../../inspect/index.ts';
import { type CommandModule, choice, type Invocation } from '../command.ts';
import { exitCodeFor } from '../errors.ts';
import { Exit } from '../exit.ts';
import { operands } from '../files.ts';
import { formatDuration, formatSize, printable } from '../format.ts';
import { type Interruption, interruptible, pause } from '../interrupt.ts';
import type { Output } from '../output.ts';
import { Progress } from '../progress.ts';
import { failedRecord, fileRecord, lookAt, share } from '../residency.ts';
import { type ByteRange, parseRange, parseRate, parseSize } from '../size.ts';

type Advice = 'populate' | 'willneed' | 'read';

interface WarmOptions {
  range?: ByteRange;
  advise: Advice;
  missingOnly: boolean;
  all?: boolean;
  rate?: number;
  limit?: number;
  dryRun?: boolean;
  files0From?: string;
}

function configure(command: Command): void {
  command
    .argument('[files...]', 'files')
    .description(
      `Brings files into memory (the page cache) and looks again. Parts that are there already are
left alone. Exit 1 when not everything came, or did not stay.`,
    )
    .option('--range <range>', 'a part: 1M-2M, 1M+64k, 1M-', parseRange)
    .addOption(
      choice('--advise <how>', 'how it is brought in', ['populate', 'willneed', 'read']).default(
        'populate',
      ),
    )
    .option('--missing-only', 'leave alone what is in memory (the default)')
    .option('--all', 'ask also for what is in memory')
    .option('--rate <bytes>', 'at most so many a second', parseRate)
    .option('--limit <bytes>', 'end after so many', parseSize)
    .option('-n, --dry-run', 'only say what is missing')
    .option('--files0-from <file>', 'names of files between zero bytes; - is stdin');
}

interface Part {
  offset: number;
  length: number;
}

const finestCell = 2 ** 20;
const mostCells = 65_536;

/** Parts that are not whole in memory; neighbours are one part. */
function missingParts(path: string, options: WarmOptions): Part[] {
  const whole = lookAt(path, { range: options.range });
  const cells = Math.max(1, Math.min(mostCells, Math.ceil(whole.length / finestCell)));
  if (whole.length === 0) return [];
  if (options.all || whole.cached === null) return [{ offset: whole.offset, length: whole.length }];
  const parts: Part[] = [];
  for (const cell of lookAt(path, { range: options.range, cells }).cells) {
    if (cell.cached === cell.pages) continue;
    const last = parts.at(-1);
    if (last && last.offset + last.length === cell.offset) last.length += cell.length;
    else parts.push({ offset: cell.offset, length: cell.length });
  }
  return parts;
}

/** Pieces that may be interrupted between, and that a rate can be held by. */
const longestPiece = 8 * 2 ** 20;

/** Whole pages that come in a second at most, one at least. */
function pieceFor({ rate = longestPiece }: WarmOptions): number {
  const pages = Math.max(1, Math.floor(rate / pageSize));
  return Math.min(longestPiece, pages * pageSize);
}

function* pieces(parts: readonly Part[], limit: number, pieceBytes: number): Generator<Part> {
  let left = limit;
  for (const { offset, length } of parts) {
    for (let at = 0; at < length && left > 0; at += pieceBytes) {
      const piece = Math.min(pieceBytes, length - at, left);
      yield { offset: offset + at, length: piece };
      left -= piece;
    }
  }
}

/** Ways to bring a piece in. */
type Bring = (part: Part, signal: AbortSignal) => Promise<void> | void;

function bringBy(how: Advice, mapping: Mapping, fd: number): Bring {
  if (how === 'populate')
    return async (part, signal) => void (await mapping.prefetch(part, { signal }));
  if (how === 'willneed') return (part) => mapping.advise('willneed', part);
  const buffer = Buffer.allocUnsafe(2 ** 20);
  return ({ offset, length }) => {
    for (let done = 0; done < length; ) {
      const wanted = Math.min(buffer.length, length - done);
      const read = readSync(fd, buffer, 0, wanted, offset + done);
      if (read === 0) return;
      done += read;
    }
  };
}

interface Brought {
  bytes: number;
  /** The limit was reached before the end. */
  isLimited: boolean;
}

async function bring(
  path: string,
  parts: readonly Part[],
  { options, out, interruption: { signal }, left }: Work,
): Promise<Brought> {
  const wanted = parts.reduce((sum, { length }) => sum + length, 0);
  const progress = new Progress(out, printable(path), Math.min(wanted, left));
  const start = performance.now();
  using mapping = map(path);
  const fd = openSync(path, 'r');
  const take = bringBy(options.advise, mapping, fd);
  let bytes = 0;
  try {
    for (const piece of pieces(parts, left, pieceFor(options))) {
      if (signal.aborted) break;
      await take(piece, signal);
      bytes += piece.length;
      progress.tell(bytes);
      const ahead =
        options.rate === undefined ? 0 : bytes / options.rate - (performance.now() - start) / 1000;
      if (ahead > 0) await pause(ahead, signal);
      else await new Promise((resolve) => setImmediate(resolve));
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    closeSync(fd);
    progress.end();
  }
  return { bytes, isLimited: wanted > left };
}

/** willneed only asks: waits until nothing more comes. */
async function settle(path: string, options: WarmOptions, signal: AbortSignal): Promise<void> {
  if (options.advise !== 'willneed') return;
  let before = -1;
  while (!signal.aborted) {
    const { cached, pages } = lookAt(path, { range: options.range });
    if (cached === null || cached === pages || cached === before) return;
    before = cached;
    await pause(0.2, signal);
  }
}

interface Work {
  options: WarmOptions;
  out: Output;
  interruption: Interruption;
  /** Bytes of the limit that are left. */
  left: number;
}

interface Warmed {
  before: FileResidency;
  after: FileResidency;
  asked: number;
  seconds: number;
  faults: { minor: number; major: number };
  isLimited: boolean;
}

async function warmFile(path: string, work: Work): Promise<Warmed> {
  const { options, interruption } = work;
  const before = lookAt(path, { range: options.range });
  const parts = missingParts(path, options);
  const start = performance.now();
  const faultsBefore = pageFaults();
  const { bytes, isLimited } = options.dryRun
    ? { bytes: 0, isLimited: false }
    : parts.length > 0
      ? await bring(path, parts, work)
      : { bytes: 0, isLimited: false };
  if (bytes > 0) await settle(path, options, interruption.signal);
  const faultsAfter = pageFaults();
  return {
    before,
    after: lookAt(path, { range: options.range }),
    asked: bytes,
    seconds: (performance.now() - start) / 1000,
    faults: {
      minor: faultsAfter.minor - faultsBefore.minor,
      major: faultsAfter.major - faultsBefore.major,
    },
    isLimited,
  };
}

function show(path: string, warmed: Warmed, { options, out }: Work): void {
  const { before, after, asked, seconds, faults } = warmed;
  const name = printable(path);
  if (options.dryRun) {
    out.text(`${name}   now ${share(before)}   nothing was asked for`);
    return;
  }
  const speed = asked > 0 ? `, ${formatSize(asked / seconds)}/s` : '';
  const took = `${formatSize(asked)} asked for in ${formatDuration(seconds * 1000)}${speed}`;
  const met = `${faults.minor} minor and ${faults.major} major faults`;
  out.text(`${name}   before ${share(before)}   after ${share(after)}   ${took}, ${met}`);
  if (out.mode === 'plain') {
    out.raw([before.cached ?? '?', after.cached ?? '?', asked, seconds, name].join('\t'));
  }
}

function isComplete({ after }: Warmed): boolean | null {
  return after.cached === null ? null : after.cached === after.pages;
}

function tellRest(path: string, warmed: Warmed, { options, out, interruption }: Work): void {
  const complete = isComplete(warmed);
  const name = printable(path);
  if (complete === null) {
    const [gap] = warmed.after.unknown;
    out.warn(gap?.why ?? 'the kernel does not tell', name);
    if (gap?.hint) out.hint(gap.hint);
  } else if (!complete && !options.dryRun && !interruption.signal.aborted) {
    if (warmed.isLimited) out.warn('the limit was reached', name);
    else {
      out.warn('not everything stayed: there may be too little memory', name);
      out.hint('memmap doctor  shows the memory and the limit of the control group');
    }
  }
}

function record(path: string, warmed: Warmed) {
  const { before, after, asked, seconds, faults } = warmed;
  return {
    path,
    before: fileRecord(before),
    after: fileRecord(after),
    asked,
    seconds,
    faults,
    complete: isComplete(warmed),
    error: null,
  };
}

function exitCode(warmed: Warmed, { dryRun }: WarmOptions): number {
  const complete = isComplete(warmed);
  if (complete === null) return Exit.denied;
  return complete || dryRun ? Exit.ok : Exit.no;
}

async function run({ args, options, out }: Invocation<WarmOptions>): Promise<number> {
  const files = operands(args, options);
  return interruptible(async (interruption) => {
    const work: Work = {
      options,
      out,
      interruption,
      left: options.limit ?? Number.MAX_SAFE_INTEGER,
    };
    const records: Record<string, unknown>[] = [];
    let worst: number = Exit.ok;
    for (const path of files) {
      if (interruption.signal.aborted) break;
      try {
        const warmed = await warmFile(path, work);
        work.left -= warmed.asked;
        show(path, warmed, work);
        tellRest(path, warmed, work);
        records.push(record(path, warmed));
        worst = Math.max(worst, exitCode(warmed, options));
      } catch (error) {
        const code = exitCodeFor(error);
        if (code === null) throw error;
        records.push(failedRecord(path, out.error(error)));
        worst = Math.max(worst, code);
      }
    }
    out.document({ dryRun: options.dryRun ?? false, files: records });
    return worst;
  });
}

export const warm: CommandModule = {
  configure,
  modes: ['json', 'plain'],
  examples: [
    ['memmap warm model.bin', 'before, after, time and speed'],
    ['memmap warm --rate 200M *.idx', 'without taking the whole disk'],
    ['memmap warm --range 0-64M db', 'only its first 64 MiB'],
  ],
  run,
};
