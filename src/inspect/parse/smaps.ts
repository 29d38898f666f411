/**
 * /proc/PID/smaps and smaps_rollup: what each mapping has in memory (fs/proc/task_mmu.c, show_smap).
 * A header as in maps, then lines of `Name: value kB`; kernels differ in which they have.
 */
import { fieldsOf, linesOf, pick } from './fields.ts';
import { type MapEntry, parseMapLine } from './maps.ts';

const quantities = {
  KernelPageSize: 'kernelPageSize',
  MMUPageSize: 'mmuPageSize',
  Rss: 'rss',
  Pss: 'pss',
  Pss_Dirty: 'pssDirty',
  Pss_Anon: 'pssAnon',
  Pss_File: 'pssFile',
  Pss_Shmem: 'pssShmem',
  Shared_Clean: 'sharedClean',
  Shared_Dirty: 'sharedDirty',
  Private_Clean: 'privateClean',
  Private_Dirty: 'privateDirty',
  Referenced: 'referenced',
  Anonymous: 'anonymous',
  KSM: 'ksm',
  LazyFree: 'lazyFree',
  AnonHugePages: 'anonHugePages',
  ShmemPmdMapped: 'shmemHugePages',
  FilePmdMapped: 'fileHugePages',
  Shared_Hugetlb: 'sharedHugetlb',
  Private_Hugetlb: 'privateHugetlb',
  Swap: 'swap',
  SwapPss: 'swapPss',
  /** The lock's share of this process, not the locked bytes: divided among those who map them. */
  Locked: 'lockedShare',
} as const;

/** The quantities of smaps; all in bytes, and each absent where the kernel does not tell it. */
export type SmapsQuantities = {
  readonly [Name in (typeof quantities)[keyof typeof quantities]]?: number;
};

/** A mapping with what it has in memory. */
export interface SmapsEntry extends MapEntry, SmapsQuantities {
  /** The two-letter flags of VmFlags; absent before Linux 3.8. {@link vmFlags} has their meaning. */
  readonly flags?: readonly string[];
  /** Whether transparent huge pages may be used here; absent before Linux 5.0. */
  readonly hugeEligible?: boolean;
  /** The protection key; absent without such. */
  readonly protectionKey?: number;
}

/** VmFlags in words (Documentation/filesystems/proc.rst). */
export const vmFlags: Readonly<Record<string, string>> = {
  rd: 'readable',
  wr: 'writable',
  ex: 'executable',
  sh: 'shared',
  mr: 'may become readable',
  mw: 'may become writable',
  me: 'may become executable',
  ms: 'may be shared',
  gd: 'stack, grows down',
  pf: 'pure frame numbers',
  dw: 'disabled write to the file',
  lo: 'locked in memory',
  lf: 'locked when it comes in',
  io: 'memory of a device',
  sr: 'read in sequence',
  rr: 'read at random',
  dc: 'not inherited by fork',
  de: 'may not be expanded',
  ac: 'counted against the commit limit',
  nr: 'nothing reserved for it',
  ht: 'huge pages of the reserved pool',
  sf: 'faults are synchronous (MAP_SYNC)',
  nl: 'not linear',
  ar: 'for the architecture',
  wf: 'wiped on fork',
  dd: 'not in core dumps',
  sd: 'soft-dirty',
  mm: 'mixed pages',
  hg: 'transparent huge pages wanted',
  nh: 'no transparent huge pages',
  mg: 'may be merged with pages alike',
  bt: 'guarded by branch target identification',
  mt: 'memory tagging',
  um: 'missing pages watched by userfaultfd',
  uw: 'stores watched by userfaultfd',
  ui: 'minor faults watched by userfaultfd',
  ss: 'shadow stack',
  sl: 'sealed',
  dp: 'may be dropped by the kernel',
  gu: 'has guard pages',
};

/** What the quantities and flags tell that a name does not. */
function refined(entry: SmapsEntry): SmapsEntry {
  const { kind, flags, rss } = entry;
  if (flags?.includes('ht')) return { ...entry, kind: 'hugetlb' };
  if (flags?.includes('ss')) return { ...entry, kind: 'stack' };
  // Memory that was in use before its rights were taken is more than a reserve.
  if (kind === 'reserve' && rss !== undefined && rss > 0) return { ...entry, kind: 'anonymous' };
  return entry;
}

function completed(entry: MapEntry, lines: string[]): SmapsEntry {
  const fields = fieldsOf(lines.join('\n'));
  const flags = fields.get('VmFlags');
  const eligible = fields.get('THPeligible');
  const key = fields.get('ProtectionKey');
  // Android's kernels before 5.17 gave the name of anonymous memory on a line of its own.
  const given = fields.get('Name');
  return refined({
    ...entry,
    ...(entry.name === null && given ? { name: given, kind: 'anonymous' as const } : {}),
    ...pick(fields, quantities),
    ...(flags === undefined ? {} : { flags: flags.split(/\s+/).filter(Boolean) }),
    ...(eligible === undefined ? {} : { hugeEligible: eligible === '1' }),
    ...(key === undefined ? {} : { protectionKey: Number(key) }),
  });
}

/** Reads the whole text. */
export function parseSmaps(text: string): SmapsEntry[] {
  const entries: SmapsEntry[] = [];
  let entry: MapEntry | null = null;
  let lines: string[] = [];
  for (const line of linesOf(text)) {
    const next = parseMapLine(line);
    if (!next) {
      lines.push(line);
      continue;
    }
    if (entry) entries.push(completed(entry, lines));
    entry = next;
    lines = [];
  }
  if (entry) entries.push(completed(entry, lines));
  return entries;
}

/** Reads smaps_rollup: the sums over all mappings of a process. */
export function parseSmapsRollup(text: string): SmapsQuantities {
  return pick(fieldsOf(text), quantities);
}
