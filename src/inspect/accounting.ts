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
import type { AccountedMapping } from './parse/smaps.ts';

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

/** An account that grows. */
export type Sum = { -readonly [Name in keyof Account]: Account[Name] };

type Quantity = keyof Omit<Account, 'maps' | 'virtual'>;

/** The sum of no mappings. */
export function nothing(): Sum {
  return {
    maps: 0,
    virtual: 0,
    resident: 0,
    proportional: 0,
    shared: 0,
    private: 0,
    dirty: 0,
    swap: 0,
    huge: 0,
    locked: 0,
    freeable: 0,
    needsWriteBack: 0,
    needsSwap: 0,
  };
}

const quantityNames = Object.keys(nothing()).filter(
  (name): name is Quantity => name !== 'maps' && name !== 'virtual',
);

/** The sum where every part of it is known. */
function sum(first: number | null | undefined, second: number | null | undefined): number | null {
  return first == null || second == null ? null : first + second;
}

const objectsInMemory: readonly MapKind[] = [
  'shared anonymous',
  'memfd',
  'shared memory',
  'secret',
];

/** Kinds whose pages have a file on a disk behind them. */
function isBacked(kind: MapKind): boolean {
  return kind === 'file' || kind === 'deleted file';
}

/** Kinds that are memory only, whoever maps them. */
function isObject(kind: MapKind): boolean {
  return objectsInMemory.includes(kind);
}

/** `undefined`: the kernel does not tell. */
function isLocked(entry: AccountedMapping): boolean | undefined {
  return entry.flags?.includes('lo');
}

/** Adds to a sum in place: there may be a million mappings. */
export function addMapping(total: Sum, entry: AccountedMapping): void {
  const { kind, rss, anonymous = 0, lazyFree = 0, privateDirty, sharedDirty } = entry;
  // Kernels before 4.4 do not tell of hugetlb; other mappings have none of it.
  const absent = kind === 'hugetlb' ? undefined : 0;
  const { sharedHugetlb = absent, privateHugetlb = absent } = entry;
  const dirty = sum(privateDirty, sharedDirty);
  const fileDirty = dirty === null ? null : Math.max(0, dirty - anonymous);
  const backed = isBacked(kind);
  const locked = isLocked(entry);
  const clean =
    rss === undefined || fileDirty === null ? null : Math.max(0, rss - anonymous - fileDirty);
  const { anonHugePages, shmemHugePages = 0, fileHugePages = 0 } = entry;
  const huge = sum(sum(anonHugePages, shmemHugePages), fileHugePages);
  const needsSwap = isObject(kind) ? rss : Math.max(0, anonymous - lazyFree);
  total.maps += 1;
  total.virtual += entry.length;
  total.resident = sum(total.resident, sum(sum(rss, sharedHugetlb), privateHugetlb));
  total.proportional = sum(total.proportional, entry.pss);
  total.shared = sum(total.shared, sum(sum(entry.sharedClean, sharedDirty), sharedHugetlb));
  total.private = sum(total.private, sum(sum(entry.privateClean, privateDirty), privateHugetlb));
  total.dirty = sum(total.dirty, dirty);
  total.swap = sum(total.swap, entry.swap);
  total.huge = sum(total.huge, sum(sum(huge, sharedHugetlb), privateHugetlb));
  total.locked = sum(total.locked, locked === true ? rss : locked === false ? 0 : null);
  total.freeable = sum(total.freeable, backed && locked !== true ? clean : 0);
  total.needsWriteBack = sum(total.needsWriteBack, backed && entry.shared ? fileDirty : 0);
  total.needsSwap = sum(total.needsSwap, rss === undefined ? null : needsSwap);
}

/** The account of one mapping. */
export function accountOf(entry: AccountedMapping): Account {
  const account = nothing();
  addMapping(account, entry);
  return account;
}

/** Adds to a sum in place. */
export function addAccount(total: Sum, account: Account): void {
  total.maps += account.maps;
  total.virtual += account.virtual;
  for (const name of quantityNames) total[name] = sum(total[name], account[name]);
}

/** The sum of accounts; a quantity that one of them does not know is `null`. */
export function addAccounts(accounts: Iterable<Account>): Account {
  const total = nothing();
  for (const account of accounts) addAccount(total, account);
  return total;
}

/** The account of a mapping of which only the address space is known. */
export function unknownAccount(length: number): Account {
  const unknown = Object.fromEntries(quantityNames.map((name) => [name, null]));
  return { maps: 1, virtual: length, ...(unknown as Record<Quantity, null>) };
}
