/**
 * /proc/PID/smaps and smaps_rollup: what each mapping has in memory (fs/proc/task_mmu.c, show_smap).
 * A header as in maps, then lines of `Name: value kB`; kernels differ in which they have.
 */
import { fieldsOf, pick } from './fields.ts';
import { type MapEntry, type MapKind, parseMapLine } from './maps.ts';

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

/** The quantities of smaps, in bytes; `undefined` where the kernel does not tell. */
export type SmapsQuantities = {
  readonly [Name in (typeof quantities)[keyof typeof quantities]]?: number | undefined;
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

type Value = number | undefined;

/** Where the value of a quantity is kept while the lines of a mapping are read. */
const slots: ReadonlyMap<string, number> = new Map(
  Object.keys(quantities).map((name, slot) => [name, slot]),
);

/** What the lines below a header say. */
class Body {
  /** By slot. */
  readonly values: Value[] = new Array<Value>(slots.size).fill(undefined);
  flags: readonly string[] | undefined;
  hugeEligible: boolean | undefined;
  protectionKey: number | undefined;
  /** Android's kernels before 5.17 gave the name of anonymous memory on a line of its own. */
  name = '';

  clear(): void {
    this.values.fill(undefined);
    this.flags = undefined;
    this.hugeEligible = undefined;
    this.protectionKey = undefined;
    this.name = '';
  }
}

/** What the quantities and flags tell that a name does not. */
function kindOf({ kind, name }: MapEntry, body: Body, rss: Value): MapKind {
  if (body.flags?.includes('ht')) return 'hugetlb';
  if (body.flags?.includes('ss')) return 'stack';
  if (name === null && body.name !== '') return 'anonymous';
  // Memory that was in use before its rights were taken is more than a reserve.
  return kind === 'reserve' && rss !== undefined && rss > 0 ? 'anonymous' : kind;
}

/** Each with all properties at once and in one order: V8 makes 10,000 such five times as fast. */
function entryOf(header: MapEntry, body: Body): SmapsEntry {
  const { values, flags, hugeEligible, protectionKey } = body;
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
    name: header.name ?? (body.name || null),
    deleted: header.deleted,
    kind: kindOf(header, body, values[2]),
    kernelPageSize: values[0],
    mmuPageSize: values[1],
    rss: values[2],
    pss: values[3],
    pssDirty: values[4],
    pssAnon: values[5],
    pssFile: values[6],
    pssShmem: values[7],
    sharedClean: values[8],
    sharedDirty: values[9],
    privateClean: values[10],
    privateDirty: values[11],
    referenced: values[12],
    anonymous: values[13],
    ksm: values[14],
    lazyFree: values[15],
    anonHugePages: values[16],
    shmemHugePages: values[17],
    fileHugePages: values[18],
    sharedHugetlb: values[19],
    privateHugetlb: values[20],
    swap: values[21],
    swapPss: values[22],
    lockedShare: values[23],
    flags,
    hugeEligible,
    protectionKey,
  };
}

const [digitZero, digitNine, space, capitalA, capitalZ] = [48, 57, 32, 65, 90] as const;
const unit = ' kB';

/** The number between `start` and the unit that ends at `end`, in bytes; undefined: there is none. */
function bytesIn(text: string, start: number, end: number): Value {
  let [value, scale] = [0, 1024];
  let at = end - unit.length - 1;
  for (; at >= start; at--) {
    const code = text.charCodeAt(at);
    if (code === space) break;
    if (code < digitZero || code > digitNine) return undefined;
    value += (code - digitZero) * scale;
    scale *= 10;
  }
  return scale > 1024 && text.startsWith(unit, end - unit.length) ? value : undefined;
}

/** A field as the mapping before had it. */
interface Field {
  readonly name: string;
  /** The name with its colon. */
  readonly label: string;
  /** -1: it is no quantity. */
  readonly slot: number;
}

/**
 * Reads the lines below the headers. A process may have a million of them, and all of its mappings
 * have the same ones in the same order: so the line of the mapping before says which field comes.
 */
class BodyReader {
  readonly #text: string;
  readonly #fields: Field[] = [];
  /** Mappings have few different flags: each text of them is taken apart once. */
  readonly #flags = new Map<string, readonly string[]>();

  constructor(text: string) {
    this.#text = text;
  }

  /** Reads into `body` what stands from `start` on; returns where the next header begins. */
  read(body: Body, start: number): number {
    const text = this.#text;
    const { values } = body;
    let at = start;
    for (let number = 0; at < text.length; number++) {
      const code = text.charCodeAt(at);
      // Headers begin with a digit or a small letter, fields with a capital.
      if (code < capitalA || code > capitalZ) break;
      const stop = text.indexOf('\n', at);
      const end = stop < 0 ? text.length : stop;
      const before = this.#fields[number];
      const isAlike = before !== undefined && text.startsWith(before.label, at);
      const { slot, name, label } = isAlike ? before : this.#keepField(number, at, end);
      if (slot >= 0) values[slot] = bytesIn(text, at + label.length, end);
      else this.#readOther(body, name, text.slice(at + label.length, end).trim());
      at = end + 1;
    }
    return at;
  }

  #keepField(number: number, start: number, end: number): Field {
    const colon = this.#text.indexOf(':', start);
    const name = this.#text.slice(start, colon < 0 ? end : Math.min(colon, end));
    const field = { name, label: `${name}:`, slot: slots.get(name) ?? -1 };
    this.#fields[number] = field;
    return field;
  }

  #readOther(body: Body, field: string, value: string): void {
    if (field === 'VmFlags') body.flags = this.#flagsIn(value);
    else if (field === 'THPeligible') body.hugeEligible = value === '1';
    else if (field === 'ProtectionKey') body.protectionKey = Number(value);
    else if (field === 'Name') body.name = value;
  }

  #flagsIn(text: string): readonly string[] {
    let flags = this.#flags.get(text);
    if (!flags) {
      flags = text.split(/\s+/).filter(Boolean);
      this.#flags.set(text, flags);
    }
    return flags;
  }
}

/** Reads the whole text. */
export function parseSmaps(text: string): SmapsEntry[] {
  const entries: SmapsEntry[] = [];
  const reader = new BodyReader(text);
  const body = new Body();
  for (let start = 0; start < text.length; ) {
    const stop = text.indexOf('\n', start);
    const end = stop < 0 ? text.length : stop;
    const header = parseMapLine(text.slice(start, end));
    body.clear();
    start = reader.read(body, end + 1);
    if (header) entries.push(entryOf(header, body));
  }
  return entries;
}

/** Reads smaps_rollup: the sums over all mappings of a process. */
export function parseSmapsRollup(text: string): SmapsQuantities {
  return pick(fieldsOf(text), quantities);
}
