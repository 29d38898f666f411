/**
 * What the quantities of smaps add up to. Each sum says how it is made, so that it can be checked:
 *
 *   resident        Rss + Shared_Hugetlb + Private_Hugetlb (Rss leaves hugetlb out)
 *   private         Private_Clean + Private_Dirty + Private_Hugetlb (USS)
 *   shared          Shared_Clean + Shared_Dirty + Shared_Hugetlb: mapped by others too, whatever
 *                   MAP_SHARED says
 *   needsSwap       Anonymous - LazyFree, and all of shared memory without a file
 *   needsWriteBack  dirty pages of shared file mappings that are not anonymous
 *   freeable        clean pages of files, not locked: what can go without swap and without writing
 *   locked          Rss of mappings with VmFlags `lo` (smaps' Locked is only a share of it)
 */
import type { MapKind } from './parse/maps.ts';
import type { SmapsEntry } from './parse/smaps.ts';

/** The memory of one mapping or of several; bytes, `null`: the kernel does not tell. */
export interface Account {
  /** How many mappings. */
  readonly maps: number;
  /** Address space. */
  readonly virtual: number;
  readonly resident: number | null;
  /** The share of this process where pages are mapped by several (PSS). */
  readonly proportional: number | null;
  readonly shared: number | null;
  readonly private: number | null;
  readonly dirty: number | null;
  readonly swap: number | null;
  /** In huge pages, transparent or reserved. */
  readonly huge: number | null;
  readonly locked: number | null;
  readonly freeable: number | null;
  readonly needsWriteBack: number | null;
  readonly needsSwap: number | null;
}

type Quantity = keyof Omit<Account, 'maps' | 'virtual'>;

const quantityNames: readonly Quantity[] = [
  'resident',
  'proportional',
  'shared',
  'private',
  'dirty',
  'swap',
  'huge',
  'locked',
  'freeable',
  'needsWriteBack',
  'needsSwap',
];

/** The sum where every part of it is known. */
function sum(first: number | null | undefined, second: number | undefined): number | null {
  return first == null || second === undefined ? null : first + second;
}

const objectsInMemory: readonly MapKind[] = [
  'shared anonymous',
  'memfd',
  'shared memory',
  'secret',
];

/** Kinds whose pages have a file on a disk behind them. */
function isBacked(entry: SmapsEntry): boolean {
  return entry.kind === 'file' || entry.kind === 'deleted file';
}

function isLocked(entry: SmapsEntry): boolean {
  return entry.flags?.includes('lo') ?? false;
}

/** The account of one mapping. */
export function accountOf(entry: SmapsEntry): Account {
  const { rss, anonymous = 0, lazyFree = 0, privateDirty, sharedDirty } = entry;
  // Kernels before 4.4 do not tell of hugetlb; other mappings have none of it.
  const absent = entry.kind === 'hugetlb' ? undefined : 0;
  const { sharedHugetlb = absent, privateHugetlb = absent } = entry;
  const dirty = sum(privateDirty, sharedDirty);
  const fileDirty = dirty === null ? null : Math.max(0, dirty - anonymous);
  const isObject = objectsInMemory.includes(entry.kind);
  const canWriteBack = isBacked(entry) && entry.shared;
  const clean =
    rss === undefined || fileDirty === null ? null : Math.max(0, rss - anonymous - fileDirty);
  const { anonHugePages, shmemHugePages = 0, fileHugePages = 0 } = entry;
  const huge = sum(sum(anonHugePages, shmemHugePages), fileHugePages);
  return {
    maps: 1,
    virtual: entry.length,
    resident: sum(sum(rss, sharedHugetlb), privateHugetlb),
    proportional: entry.pss ?? null,
    shared: sum(sum(entry.sharedClean, sharedDirty), sharedHugetlb),
    private: sum(sum(entry.privateClean, privateDirty), privateHugetlb),
    dirty,
    swap: entry.swap ?? null,
    huge: sum(sum(huge, sharedHugetlb), privateHugetlb),
    locked: entry.flags === undefined ? null : isLocked(entry) ? (rss ?? null) : 0,
    freeable: isBacked(entry) && !isLocked(entry) ? clean : 0,
    needsWriteBack: canWriteBack ? fileDirty : 0,
    needsSwap: rss === undefined ? null : isObject ? rss : Math.max(0, anonymous - lazyFree),
  };
}

/** The sum of accounts; a quantity that one of them does not know is `null`. */
export function addAccounts(accounts: readonly Account[]): Account {
  const total: Record<Quantity, number | null> & { maps: number; virtual: number } = {
    maps: 0,
    virtual: 0,
    ...(Object.fromEntries(quantityNames.map((name) => [name, 0])) as Record<Quantity, number>),
  };
  for (const account of accounts) {
    total.maps += account.maps;
    total.virtual += account.virtual;
    for (const name of quantityNames) {
      const [sofar, more] = [total[name], account[name]];
      total[name] = sofar === null || more === null ? null : sofar + more;
    }
  }
  return total;
}

/** The account of a mapping of which only the address space is known. */
export function unknownAccount(length: number): Account {
  const nothing = Object.fromEntries(quantityNames.map((name) => [name, null]));
  return { maps: 1, virtual: length, ...(nothing as Record<Quantity, null>) };
}
