/**
 * Puts a file out of memory and looks whether it went, and who kept what stayed.
 */
import { fdatasyncSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import { type NativeFailure, native } from '../binding/native.ts';
import { invalidArgument, MemmapError } from '../core/errors.ts';
import { isAligned, roundDown, roundUp } from '../core/page.ts';
import { type Range, readRange, type Span, within } from '../core/range.ts';
import type { Unknown } from '../core/unknown.ts';
import { boolean, integer, object } from '../core/validate.ts';
import type { FileLike } from '../mapping/options.ts';
import { type OpenFile, withFile } from './file.ts';
import { isMemory } from './file-system.ts';
import { type Holder, holders } from './holders.ts';
import { checkAddress } from './proc.ts';
import { type FileResidency, residency } from './residency.ts';

export interface EvictOptions {
  /** Whole pages of it. Default: the whole file. */
  range?: Range | undefined;
  /** Writes dirty pages to the disk first; what is dirty cannot leave. Default false. */
  sync?: boolean | undefined;
  /**
   * Processes that are asked to page the file out first (process_madvise, MADV_PAGEOUT): needs
   * rights over them, and works only for pages that one process alone maps. Default none.
   */
  from?: readonly number[] | undefined;
}

/** Why pages stay. */
export type Reason = 'dirty' | 'writeback' | 'mapped' | 'locked' | 'memory' | 'unknown';

/** The answer of {@link evict}. */
export interface Eviction {
  readonly before: FileResidency;
  readonly after: FileResidency;
  /** Bytes that left memory; `null`: unknown. */
  readonly freed: number | null;
  /** Nothing is left; `null`: unknown. */
  readonly complete: boolean | null;
  /** Why something is left, as far as it can be seen. */
  readonly reasons: readonly { readonly reason: Reason; readonly holder: Holder | null }[];
  readonly unknown: readonly Unknown[];
}

function failed(error: unknown, action: string, hint?: string): unknown {
  const { errno, syscall } = error as NativeFailure;
  if (typeof errno !== 'number') return error;
  const code = getSystemErrorName(errno);
  return new MemmapError(code, `Cannot ${action}: ${code} (${syscall})`, { errno, syscall, hint });
}

/**
 * Asks one process for its pages of a range of addresses to leave memory. Nothing is lost; the call
 * succeeds also where nothing leaves, so look after it.
 * @returns Bytes that were looked at.
 * @throws MemmapError EPERM or EACCES without rights over the process; ENOSYS before Linux 5.10.
 */
export function pageOut(pid: number, address: bigint, byteLength: number): number {
  integer('pid', pid, 1);
  checkAddress(address);
  integer('byteLength', byteLength);
  try {
    return native.pageOut(pid, address, byteLength);
  } catch (error) {
    const hint = 'it takes CAP_SYS_NICE, and to be of the same user or to have CAP_SYS_PTRACE';
    throw failed(error, `page out ${byteLength} bytes of process ${pid}`, hint);
  }
}

/** The pages that lie within a range; what ends with the file ends with a page. */
function wholePages({ offset, length }: Span, { size, hugePageSize }: OpenFile): Span {
  const page = hugePageSize ?? native.pageBytes;
  const end = offset + length;
  const first = Math.min(roundUp(offset, page), end);
  const last = end === size || isAligned(end, page) ? end : roundDown(end, page);
  return { offset: first, length: Math.max(0, last - first) };
}

/**
 * Puts the clean pages of a file out of the page cache, looks again, and names who kept the rest.
 * The kernel says yes to every request; only the look tells.
 * @throws MemmapError as {@link residency}, and for `from` as {@link pageOut}.
 */
export function evict(file: FileLike, options: EvictOptions = {}): Eviction {
  object('options', options);
  const { range, sync = false, from = [] } = options;
  boolean('options.sync', sync);
  if (!Array.isArray(from)) throw invalidArgument('options.from', 'an array of processes', from);
  for (const pid of from) integer('options.from', pid, 1);
  const given = readRange(range);
  return withFile(file, (opened) => {
    const inner = wholePages(within(given, opened.size), opened);
    const look = () => ({ ...residency(opened.fd, { range: inner }), path: opened.path });
    const before = look();
    const ask = () => {
      if (from.length > 0) pageOutFrom(from, opened.fd, before);
      // To the kernel no length is all the rest.
      if (before.length > 0) native.dropCache(opened.fd, before.offset, before.length);
    };
    try {
      if (sync) fdatasyncSync(opened.fd);
      ask();
    } catch (error) {
      throw failed(error, `evict ${opened.path}`);
    }
    const after = from.length > 0 ? askAgain(look, ask) : look();
    const isKnown = before.cached !== null && after.cached !== null;
    const complete = isKnown ? after.cached === 0 : null;
    const kept = complete === true ? null : holders(opened.fd);
    return {
      before,
      after,
      freed: isKnown ? ((before.cached ?? 0) - (after.cached ?? 0)) * after.pageSize : null,
      complete,
      reasons: kept ? reasonsFor(before, after, kept.holders, isMemory(opened.fd)) : [],
      unknown: [...after.unknown, ...(kept?.unknown ?? [])],
    };
  });
}

/**
 * The kernel passes over mapped pages that wait in the batch of a processor, and tells nobody: asks
 * twice more, as long as pages leave.
 */
function askAgain(look: () => FileResidency, ask: () => void): FileResidency {
  let after = look();
  for (let again = 0; again < 2 && after.cached; again++) {
    const { cached } = after;
    try {
      ask();
    } catch {
      break; // a process has ended meanwhile; what the first request did stands
    }
    after = look();
    if ((after.cached ?? 0) >= cached) break;
  }
  return after;
}

/** Addresses of the range in the mappings of those processes. */
function pageOutFrom(pids: readonly number[], fd: number, { offset, length }: FileResidency): void {
  for (const holder of holders(fd).holders) {
    if (!pids.includes(holder.pid)) continue;
    for (const mapping of holder.mappings) {
      // The kernel refuses these with EINVAL; the look afterwards names them.
      if (mapping.flags?.includes('lo') || mapping.flags?.includes('ht')) continue;
      const first = Math.max(offset, Number(mapping.offset));
      const behind = Math.min(offset + length, Number(mapping.offset) + mapping.length);
      if (behind <= first) continue;
      pageOut(holder.pid, mapping.start + BigInt(first) - mapping.offset, behind - first);
    }
  }
}

function reasonsFor(
  before: FileResidency,
  after: FileResidency,
  found: readonly Holder[],
  isInMemory: boolean,
): Eviction['reasons'] {
  const reasons: { reason: Reason; holder: Holder | null }[] = found
    .filter((holder) => holder.resident !== 0)
    .map((holder) => ({ reason: holder.locked ? 'locked' : 'mapped', holder }));
  // It is nowhere else, and dirty in the eyes of the kernel.
  if (isInMemory) return [...reasons, { reason: 'memory', holder: null }];
  if (after.dirty) reasons.push({ reason: 'dirty', holder: null });
  if (after.writeback) reasons.push({ reason: 'writeback', holder: null });
  if (reasons.length > 0) return reasons;
  // What was dirty is written once it is asked to leave, and stays for that time.
  const wasWritten = Boolean(before.dirty || before.writeback);
  reasons.push({ reason: wasWritten ? 'writeback' : 'unknown', holder: null });
  return reasons;
}
