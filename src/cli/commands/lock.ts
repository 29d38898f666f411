/**
 * `memmap lock`: keeps files in memory, as long as it or another command runs.
 */
import { rmSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { type Mapping, map, pageSize } from '../../index.ts';
import { type Limits, limits, readStatus, sizeInWords } from '../../inspect/index.ts';
import { passOn, startChild } from '../child.ts';
import type { CommandModule, Invocation } from '../command.ts';
import { CommandError, describeError, exitCodeFor, usage } from '../errors.ts';
import { Exit } from '../exit.ts';
import { operands } from '../files.ts';
import { formatDuration, printable } from '../format.ts';
import { type Interruption, interruptible, pause } from '../interrupt.ts';
import type { Output } from '../output.ts';
import { Progress } from '../progress.ts';
import { fileRecord, lookAt } from '../residency.ts';
import { type ByteRange, clip, parseRange, parseSeconds } from '../size.ts';

interface LockOptions {
  range?: ByteRange;
  onfault?: boolean;
  wait?: number;
  pidfile?: string;
  dryRun?: boolean;
  files0From?: string;
}

function configure(command: Command): void {
  command
    .argument('[files...]', 'files')
    .usage('[options] FILE... [-- COMMAND...]')
    .description(
      `Locks files in memory and holds them: until Ctrl-C, SIGTERM, or the end of COMMAND. The limit
is looked at before anything is locked. With COMMAND the exit code is its own; 125: memmap failed.`,
    )
    .option('--range <range>', 'a part: 1M-2M, 1M+64k, 1M-', parseRange)
    .option('--onfault', 'lock pages when they come in; bring none in now')
    .option('--wait <seconds>', 'hold for so long, then end', parseSeconds)
    .option('--pidfile <file>', 'write the number of this process there; removed at the end')
    .option('-n, --dry-run', 'only look whether it is allowed')
    .option('--files0-from <file>', 'names of files between zero bytes; - is stdin');
}

interface Target {
  path: string;
  offset: number;
  length: number;
}

/** @throws the worst that was met, when all files were looked at and the others told. */
function targetsFor(files: readonly string[], { range }: LockOptions, out: Output): Target[] {
  const targets: Target[] = [];
  const errors: unknown[] = [];
  for (const path of files) {
    try {
      const file = lookAt(path, { range: { offset: 0, length: 0 } });
      targets.push({ path, ...clip(range, file.size) });
    } catch (error) {
      errors.push(error);
    }
  }
  errors.sort((a, b) => (exitCodeFor(b) ?? 0) - (exitCodeFor(a) ?? 0));
  for (const error of errors.slice(1)) out.tell(describeError(error));
  if (errors.length > 0) throw errors[0];
  return targets;
}

function neededBytes(targets: readonly Target[]): number {
  const pages = ({ offset, length }: Target) =>
    length === 0 ? 0 : Math.ceil((offset + length) / pageSize) - Math.floor(offset / pageSize);
  return targets.reduce((sum, target) => sum + pages(target) * pageSize, 0);
}

/** `needs 1.2 GiB, RLIMIT_MEMLOCK 8 MiB, CAP_IPC_LOCK no` */
function describeLimit(needed: number, { locked, resources, capabilities }: Limits): string {
  const limit = sizeInWords(resources.RLIMIT_MEMLOCK?.soft ?? null);
  const has = capabilities === null ? 'unknown' : capabilities.CAP_IPC_LOCK ? 'yes' : 'no';
  const used = locked.used ? `, ${sizeInWords(locked.used)} are locked` : '';
  return `needs ${sizeInWords(needed)}, RLIMIT_MEMLOCK ${limit}, CAP_IPC_LOCK ${has}${used}`;
}

/** @throws CommandError where the limit does not allow it. */
function checkLimit(needed: number, own: Limits): void {
  const { maximum, used } = own.locked;
  if (maximum === null || needed <= maximum - (used ?? 0)) return;
  const kilobytes = Math.ceil((needed + (used ?? 0)) / 1024);
  throw new CommandError(`Cannot lock: ${describeLimit(needed, own)}`, {
    code: 'ENOMEM',
    exitCode: Exit.denied,
    hint: `ulimit -l ${kilobytes} (LimitMEMLOCK= in systemd), or grant CAP_IPC_LOCK`,
  });
}

/**
 * @throws CommandError where memory does not hold it: the kernel would end processes to make room,
 * and not this one first.
 */
function checkMemory(needed: number, { memory, swap, controlGroup }: Limits): void {
  const free = memory.available === null ? null : memory.available + (swap.free ?? 0);
  const room = Math.min(free ?? Infinity, controlGroup?.maximum ?? Infinity);
  if (needed <= room) return;
  throw new CommandError(
    `Cannot lock: ${sizeInWords(needed)} are more than the ${sizeInWords(room)} that are available`,
    {
      code: 'ENOMEM',
      exitCode: Exit.no,
      hint: 'lock a part with --range, or pages as they come in with --onfault',
    },
  );
}

const pieceBytes = 64 * 2 ** 20;

/** Locks in pieces, so that Ctrl-C is heard between them. */
async function lockAll(
  targets: readonly Target[],
  { onfault = false }: LockOptions,
  out: Output,
  signal: AbortSignal,
): Promise<Mapping[]> {
  const progress = new Progress(out, 'locking', neededBytes(targets));
  const mappings: Mapping[] = [];
  let done = 0;
  for (const { path, offset, length } of targets) {
    const mapping = map(path, { offset, length });
    mappings.push(mapping);
    for (let at = 0; at < length && !signal.aborted; at += pieceBytes) {
      const piece = Math.min(pieceBytes, length - at);
      mapping.lock({ offset: at, length: piece }, { onFault: onfault });
      done += piece;
      progress.tell(done);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  progress.end();
  return mappings;
}

function writePidfile(path: string): () => void {
  try {
    writeFileSync(path, `${process.pid}\n`, { flag: 'wx' });
  } catch (error) {
    const { message, code } = describeError(error);
    const hint =
      code === 'EEXIST' ? 'another one may hold locks; remove the file if not' : undefined;
    throw usage(`Cannot write the pidfile: ${message}`, hint);
  }
  const remove = () => rmSync(path, { force: true });
  process.once('exit', remove);
  return remove;
}

/** Holds until the command ends, whose code it returns. */
async function runThrough(command: readonly string[], interruption: Interruption): Promise<number> {
  const running = await startChild(command, { keepsStdout: true });
  passOn(running, interruption);
  return running.ended;
}

/** What is said: to stdout, or to stderr where stdout belongs to the command. */
function speaker(out: Output, child: unknown): (line: string) => void {
  if (child === null) return (line) => out.text(line);
  return (line) => out.detail(line);
}

async function lockAndHold(
  targets: readonly Target[],
  { options, child, out }: Invocation<LockOptions>,
  interruption: Interruption,
): Promise<number> {
  const needed = neededBytes(targets);
  const say = speaker(out, child);
  const removePidfile = options.pidfile === undefined ? undefined : writePidfile(options.pidfile);
  const mappings = await lockAll(targets, options, out, interruption.signal);
  const start = performance.now();
  const locked = readStatus('self').locked ?? null;
  const files = targets.length === 1 ? '1 file' : `${targets.length} files`;
  if (!interruption.signal.aborted) {
    const mode = options.onfault ? ' when it comes in' : '';
    say(`${sizeInWords(needed)} of ${files} locked${mode} by process ${process.pid}`);
  }
  let code: number = Exit.ok;
  if (child === null) await pause(options.wait ?? Number.POSITIVE_INFINITY, interruption.signal);
  else if (!interruption.signal.aborted) code = await runThrough(child, interruption);
  const records = targets.map((target) => fileRecord(lookAt(target.path, {})));
  for (const mapping of mappings) mapping.close();
  removePidfile?.();
  const seconds = (performance.now() - start) / 1000;
  say(`held ${sizeInWords(locked)} for ${formatDuration(seconds * 1000)}`);
  if (child === null) out.document({ needed, locked, seconds, files: records });
  return code;
}

async function run(invocation: Invocation<LockOptions>): Promise<number> {
  const { args, options, child, out } = invocation;
  if (child?.length === 0) throw usage('there is no command behind --');
  const targets = targetsFor(operands(args, options), options, out);
  const own = limits();
  const needed = neededBytes(targets);
  checkLimit(needed, own);
  if (!options.onfault) checkMemory(needed, own);
  if (options.dryRun) {
    const names = targets.map(({ path }) => printable(path)).join(', ');
    out.text(`${names}: ${describeLimit(needed, own)}: allowed`);
    out.document({ dryRun: true, needed, locked: own.locked.used, files: [] });
    return Exit.ok;
  }
  return interruptible((interruption) => lockAndHold(targets, invocation, interruption));
}

export const lock: CommandModule = {
  configure,
  modes: ['json'],
  takesChild: true,
  passesStatus: true,
  examples: [
    ['memmap lock index.bin', 'until Ctrl-C'],
    ['memmap lock index.bin -- ./server', 'as long as the server runs'],
    ['memmap lock --pidfile /run/hold.pid *.idx &', 'kill $(cat /run/hold.pid) ends it'],
    ['memmap lock -n big.bin', 'only whether the limit allows it'],
  ],
  run,
};
