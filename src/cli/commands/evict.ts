/**
 * `memmap evict`: puts files out of memory, looks whether they went, and names who kept the rest.
 */
import type { Command } from 'commander';
import { type Eviction, evict as evictFile, holders } from '../../inspect/index.ts';
import { type CommandModule, type Invocation, list } from '../command.ts';
import { exitCodeFor } from '../errors.ts';
import { Exit } from '../exit.ts';
import { operands } from '../files.ts';
import { printable, shellWord, size } from '../format.ts';
import type { Output } from '../output.ts';
import { processOf } from '../processes.ts';
import { failedRecord, fileRecord, holderRecord, holderText, lookAt, share } from '../residency.ts';
import { type ByteRange, clip, parseRange } from '../size.ts';

interface GivenOptions {
  range?: ByteRange;
  sync?: boolean;
  from?: string[];
  dryRun?: boolean;
  files0From?: string;
}

/** With processes instead of their names. */
type EvictOptions = Omit<GivenOptions, 'from'> & { from?: number[] | undefined };

function configure(command: Command): void {
  command
    .argument('[files...]', 'files')
    .description(
      `Puts the clean pages of files out of memory, looks again, and says what stayed and why. The
kernel says yes to every request and keeps what is mapped, locked or dirty: only the look tells.
Exit 1 when something stayed.`,
    )
    .option('--range <range>', 'a part: 1M-2M, 1M+64k, 1M-; whole pages of it', parseRange)
    .option('--sync', 'write dirty pages to the disk first')
    .option('--from <pid>', 'page it out of this process first; may be repeated', list(String))
    .option('-n, --dry-run', 'only say what is in memory, and who would keep it')
    .option('--files0-from <file>', 'names of files between zero bytes; - is stdin');
}

/** Why pages stay, a line for each reason. */
function reasonLines({ after, reasons, unknown }: Eviction): string[] {
  const lines = reasons.map(({ reason, holder }) => {
    if (holder) {
      const pages = holder.resident === null ? '?' : holder.resident / after.pageSize;
      const verb = reason === 'locked' ? 'locked' : 'mapped';
      return `${verb} by ${holderText(holder)}, ${pages} pages in its page table`;
    }
    if (reason === 'dirty') return `${after.dirty} pages are dirty: not on the disk yet`;
    if (reason === 'writeback') return `${after.writeback} pages are on their way to the disk`;
    if (reason === 'memory') return 'their file system is memory: they leave only to swap';
    return 'for a reason that cannot be seen';
  });
  return [...lines, ...unknown.map(({ why }) => why)];
}

/** What to do about what stayed. */
function hintsFor({ reasons }: Eviction, options: EvictOptions, path: string): string[] {
  const has = (name: string) => reasons.some(({ reason }) => reason === name);
  const mappers = reasons.flatMap(({ reason, holder }) =>
    reason === 'mapped' && holder ? [holder] : [],
  );
  const hints: string[] = [];
  if (has('dirty') && !options.sync) {
    hints.push(`memmap evict --sync ${path}  writes dirty pages first`);
  }
  const [only] = mappers;
  if (mappers.length === 1 && only && !options.from?.includes(only.pid)) {
    hints.push(
      `--from ${only.pid} pages them out there first (root; works while one process maps them)`,
    );
  }
  if (mappers.length > 1) {
    hints.push('pages that several processes map leave when all but one have unmapped them');
  }
  if (has('locked')) hints.push('locked pages stay until who locks them unlocks, or ends');
  if (has('unknown')) {
    if (options.range) {
      hints.push('pages are kept in blocks (folios) that leave as a whole: try without --range');
    } else hints.push('run as root to see who maps it, or try again');
  }
  return hints;
}

function show(path: string, eviction: Eviction, options: EvictOptions, out: Output): void {
  const { before, after, freed, complete } = eviction;
  const verdict =
    complete === true ? out.paint('green', `freed ${size(freed)}`) : `freed ${size(freed)}`;
  out.text(`${printable(path)}   before ${share(before)}   after ${share(after)}   ${verdict}`);
  if (options.range && before.pages === 0) out.hint('the range holds no whole page of the file');
  if (complete === true) return;
  if (complete === null) {
    for (const { why, hint } of eviction.unknown) {
      out.warn(why, printable(path));
      if (hint) out.hint(hint);
    }
    return;
  }
  const stay = after.cached === 1 ? '1 page stays' : `${after.cached} pages stay`;
  out.text(
    `  ${out.paint('yellow', stay)}:`,
    ...reasonLines(eviction).map((line) => `    ${line}`),
  );
  for (const hint of hintsFor(eviction, options, shellWord(path))) out.hint(hint);
}

function plain(path: string, { before, after, freed }: Eviction, out: Output): void {
  const cells = [before.cached, after.cached, freed].map((value) => value ?? '?');
  if (out.mode === 'plain') out.raw([...cells, printable(path)].join('\t'));
}

function record(path: string, { before, after, freed, complete, reasons, unknown }: Eviction) {
  return {
    path,
    before: fileRecord(before),
    after: fileRecord(after),
    freed,
    complete,
    reasons: reasons.map(({ reason, holder }) => ({
      reason,
      holder: holder ? holderRecord(holder) : null,
    })),
    unknown,
    error: null,
  };
}

function exitCodeFrom({ complete }: Eviction): number {
  return complete === null ? Exit.denied : complete ? Exit.ok : Exit.no;
}

/** What would happen: nothing is asked of the kernel but what is there. */
function dryRun(path: string, { range }: EvictOptions, out: Output) {
  const file = lookAt(path, { range });
  const found = holders(path);
  out.text(`${printable(path)}   now ${share(file)}   would be asked to leave`);
  for (const holder of found.holders) out.text(`  mapped by ${holderText(holder)}`);
  for (const { why, hint } of [...file.unknown, ...found.unknown]) {
    out.warn(why, printable(path));
    if (hint) out.hint(hint);
  }
  if (out.mode === 'plain') out.raw(`${file.cached ?? '?'}\t${printable(path)}`);
  const code = file.cached === null ? Exit.denied : Exit.ok;
  const body = {
    path,
    before: fileRecord(file),
    holders: found.holders.map(holderRecord),
    unknown: [...file.unknown, ...found.unknown],
    error: null,
  };
  return [body, code] as const;
}

function one(path: string, options: EvictOptions, out: Output) {
  if (options.dryRun) return dryRun(path, options, out);
  const { sync, from } = options;
  const range =
    options.range && clip(options.range, lookAt(path, { range: { offset: 0, length: 0 } }).size);
  const eviction = evictFile(path, { range, sync, from });
  show(path, eviction, options, out);
  plain(path, eviction, out);
  return [record(path, eviction), exitCodeFrom(eviction)] as const;
}

function run({ args, options: given, out }: Invocation<GivenOptions>): number {
  const options = { ...given, from: given.from?.map(processOf) };
  const files = operands(args, options);
  const records: Record<string, unknown>[] = [];
  let worst: number = Exit.ok;
  for (const [index, path] of files.entries()) {
    out.status(`${index + 1} of ${files.length}: ${printable(path)}`);
    try {
      const [body, code] = one(path, options, out);
      records.push(body);
      worst = Math.max(worst, code);
    } catch (error) {
      const code = exitCodeFor(error);
      if (code === null) throw error;
      records.push(failedRecord(path, out.error(error)));
      worst = Math.max(worst, code);
    }
  }
  out.status('');
  out.document({ dryRun: options.dryRun ?? false, files: records });
  return worst;
}

export const evict: CommandModule = {
  configure,
  modes: ['json', 'plain'],
  examples: [
    ['memmap evict data.bin', 'before, after, and who kept the rest'],
    ['memmap evict --sync data.bin', 'what is dirty is written first'],
    ['memmap evict --from 4711 data.bin', 'out of the page table of 4711 first (root)'],
    ['memmap evict -n data.bin', 'only what would happen'],
  ],
  run,
};
