/**
 * /proc/PID/smaps and smaps_rollup: what each mapping has in memory (fs/proc/task_mmu.c, show_smap).
 * A header as in maps, then lines of `Name: value kB`; kernels differ in which they have.
 */
import { fieldsOf, pick } from './fields.ts';
import { type MapEntry, type MapKind, MapTable, type NamedMaps, takeApart } from './maps.ts';

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

type Quantity = (typeof quantities)[keyof typeof quantities];

/** The quantities of smaps, in bytes; `undefined` where the kernel does not tell. */
export type SmapsQuantities = {
  readonly [Name in Quantity]?: number | undefined;
};

/** A mapping with what it has in memory. */
export interface SmapsEntry extends MapEntry, SmapsQuantities {
  /** The two-letter flags of VmFlags, since Linux 3.8. {@link vmFlags} has their meaning. */
  readonly flags?: readonly string[] | undefined;
  /** Whether transparent huge pages may be used here; since Linux 5.0. */
  readonly hugeEligible?: boolean | undefined;
  /** The protection key, where the processor has such. */
  readonly protectionKey?: number | undefined;
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

/** What an account is made of. */
export type AccountedMapping = Pick<
  SmapsEntry,
  | 'length'
  | 'kind'
  | 'shared'
  | 'flags'
  | 'rss'
  | 'pss'
  | 'sharedClean'
  | 'sharedDirty'
  | 'privateClean'
  | 'privateDirty'
  | 'anonymous'
  | 'lazyFree'
  | 'anonHugePages'
  | 'shmemHugePages'
  | 'fileHugePages'
  | 'sharedHugetlb'
  | 'privateHugetlb'
  | 'swap'
>;

/** The mappings of a text of smaps, or of maps: then there are no quantities. */
export class SmapsTable extends MapTable {
  readonly #values: Float64Array;
  readonly #width: number;
  /** Where in a row the value of each quantity is; -1: nowhere. */
  readonly #columns: Readonly<Record<Quantity, number>>;
  readonly #flagsColumn: number;
  readonly #hugeColumn: number;
  readonly #keyColumn: number;
  /** Android's kernels before 5.17 gave the name of anonymous memory on a line of its own. */
  readonly #nameColumn: number;
  /** By number of their text; mappings have few different ones. */
  readonly #flags: (readonly string[] | undefined)[];
  readonly #kinds: (MapKind | undefined)[];

  constructor(maps: NamedMaps) {
    super(maps);
    const [, values, fields] = maps;
    this.#values = new Float64Array(values);
    this.#width = fields.length;
    this.#columns = Object.fromEntries(
      Object.entries(quantities).map(([field, name]) => [name, fields.indexOf(field)]),
    ) as Record<Quantity, number>;
    this.#flagsColumn = fields.indexOf('VmFlags');
    this.#hugeColumn = fields.indexOf('THPeligible');
    this.#keyColumn = fields.indexOf('ProtectionKey');
    this.#nameColumn = fields.indexOf('Name');
    this.#flags = new Array<readonly string[] | undefined>(this.texts.length).fill(undefined);
    this.#kinds = new Array<MapKind | undefined>(this.count).fill(undefined);
  }

  override name(index: number): string | null {
    return super.name(index) ?? (this.#textAt(index, this.#nameColumn) || null);
  }

  override kind(index: number): MapKind {
    let kind = this.#kinds[index];
    if (kind === undefined) {
      kind = this.#kindOf(index);
      this.#kinds[index] = kind;
    }
    return kind;
  }

  /** What the quantities and flags tell that a name does not. */
  #kindOf(index: number): MapKind {
    const flags = this.#flagsOf(index);
    if (flags?.includes('ht')) return 'hugetlb';
    if (flags?.includes('ss')) return 'stack';
    const kind = super.kind(index);
    if (kind !== 'reserve') return kind;
    if (this.#textAt(index, this.#nameColumn)) return 'anonymous';
    // Memory that was in use before its rights were taken is more than a reserve.
    return (this.#quantity(index, this.#columns.rss) ?? 0) > 0 ? 'anonymous' : 'reserve';
  }

  /** Each with all properties at once and in one order: V8 makes 10,000 such five times as fast. */
  override entry(index: number): SmapsEntry {
    const header = this.header(index, this.kind(index));
    const columns = this.#columns;
    const eligible = this.#textAt(index, this.#hugeColumn);
    const key = this.#textAt(index, this.#keyColumn);
    return {
      start: header.start,
      end: header.end,
      length: header.length,
      permissions: header.permissions,
      readable: header.readable,
      writable: header.writable,
      executable: header.executable,
      shared: header.shared,
      offset: header.offset,
      device: header.device,
      inode: header.inode,
      name: header.name,
      deleted: header.deleted,
      kind: header.kind,
      kernelPageSize: this.#quantity(index, columns.kernelPageSize),
      mmuPageSize: this.#quantity(index, columns.mmuPageSize),
      rss: this.#quantity(index, columns.rss),
      pss: this.#quantity(index, columns.pss),
      pssDirty: this.#quantity(index, columns.pssDirty),
      pssAnon: this.#quantity(index, columns.pssAnon),
      pssFile: this.#quantity(index, columns.pssFile),
      pssShmem: this.#quantity(index, columns.pssShmem),
      sharedClean: this.#quantity(index, columns.sharedClean),
      sharedDirty: this.#quantity(index, columns.sharedDirty),
      privateClean: this.#quantity(index, columns.privateClean),
      privateDirty: this.#quantity(index, columns.privateDirty),
      referenced: this.#quantity(index, columns.referenced),
      anonymous: this.#quantity(index, columns.anonymous),
      ksm: this.#quantity(index, columns.ksm),
      lazyFree: this.#quantity(index, columns.lazyFree),
      anonHugePages: this.#quantity(index, columns.anonHugePages),
      shmemHugePages: this.#quantity(index, columns.shmemHugePages),
      fileHugePages: this.#quantity(index, columns.fileHugePages),
      sharedHugetlb: this.#quantity(index, columns.sharedHugetlb),
      privateHugetlb: this.#quantity(index, columns.privateHugetlb),
      swap: this.#quantity(index, columns.swap),
      swapPss: this.#quantity(index, columns.swapPss),
      lockedShare: this.#quantity(index, columns.lockedShare),
      flags: this.#flagsOf(index),
      hugeEligible: eligible === undefined ? undefined : eligible === '1',
      protectionKey: key === undefined ? undefined : Number(key),
    };
  }

  override entries(): SmapsEntry[] {
    return super.entries();
  }

  /** What {@link SmapsTable.entry} says, as far as an account needs it. */
  accounted(index: number): AccountedMapping {
    const columns = this.#columns;
    return {
      length: this.length(index),
      kind: this.kind(index),
      shared: this.isShared(index),
      flags: this.#flagsOf(index),
      rss: this.#quantity(index, columns.rss),
      pss: this.#quantity(index, columns.pss),
      sharedClean: this.#quantity(index, columns.sharedClean),
      sharedDirty: this.#quantity(index, columns.sharedDirty),
      privateClean: this.#quantity(index, columns.privateClean),
      privateDirty: this.#quantity(index, columns.privateDirty),
      anonymous: this.#quantity(index, columns.anonymous),
      lazyFree: this.#quantity(index, columns.lazyFree),
      anonHugePages: this.#quantity(index, columns.anonHugePages),
      shmemHugePages: this.#quantity(index, columns.shmemHugePages),
      fileHugePages: this.#quantity(index, columns.fileHugePages),
      sharedHugetlb: this.#quantity(index, columns.sharedHugetlb),
      privateHugetlb: this.#quantity(index, columns.privateHugetlb),
      swap: this.#quantity(index, columns.swap),
    };
  }

  #quantity(index: number, column: number): number | undefined {
    const value = this.#valueAt(index, column);
    return value >= 0 ? value : undefined;
  }

  #textAt(index: number, column: number): string | undefined {
    const value = this.#valueAt(index, column);
    return value < 0 ? this.texts[-1 - value] : undefined;
  }

  /** NaN: there is none. */
  #valueAt(index: number, column: number): number {
    return column < 0 ? Number.NaN : (this.#values[index * this.#width + column] as number);
  }

  #flagsOf(index: number): readonly string[] | undefined {
    const value = this.#valueAt(index, this.#flagsColumn);
    if (!(value < 0)) return undefined;
    const text = -1 - value;
    let flags = this.#flags[text];
    if (!flags) {
      flags = (this.texts[text] as string).split(/\s+/).filter(Boolean);
      this.#flags[text] = flags;
    }
    return flags;
  }
}

/** Reads the whole text; lines that are none are passed over. */
export function parseSmaps(text: string): SmapsEntry[] {
  return new SmapsTable(takeApart(text)).entries();
}

/** Reads smaps_rollup: the sums over all mappings of a process. */
export function parseSmapsRollup(text: string): SmapsQuantities {
  return pick(fieldsOf(text), quantities);
}
