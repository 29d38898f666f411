/**
 * Entries of /proc/PID/pagemap: 64 bits a page (Documentation/admin-guide/mm/pagemap.rst,
 * fs/proc/task_mmu.c).
 *
 *   0-54  frame number, when present (0 where the reader lacks CAP_SYS_ADMIN)
 *   0-4   swap device, 5-54 place on it, when swapped
 *   55    soft-dirty    56 mapped by this process alone    57 watched by userfaultfd
 *   58    guard page (6.15)    61 of a file or shared memory    62 swapped    63 present
 *
 * What userfaultfd watches and nobody has touched has an entry of its own kind, a marker, which reads
 * as swapped to the last of the 32 devices (include/linux/swap.h, SWP_PTE_MARKER).
 */

/** Bytes of an entry. */
export const pageEntryBytes = 8;

/** What a page table says of one page. */
export interface PageEntry {
  /** The entry as the kernel gave it. */
  readonly raw: bigint;
  /** In memory and in this page table. */
  readonly present: boolean;
  /**
   * Out in swap; never true for a guard page and for a page that is watched and was never touched,
   * which the kernel marks alike. Where it hides the place, a watched page is taken for the latter.
   */
  readonly swapped: boolean;
  /** Of a file or of shared memory; false: anonymous. Without meaning where there is no page. */
  readonly file: boolean;
  /** Mapped by this process alone; told also to those who may not see the frame. */
  readonly exclusive: boolean;
  /** Stored to since clear_refs; always false on kernels without CONFIG_MEM_SOFT_DIRTY. */
  readonly softDirty: boolean;
  /** Watched for stores by userfaultfd. */
  readonly watched: boolean;
  /** A guard page (MADV_GUARD_INSTALL). */
  readonly guard: boolean;
  /** The frame number; `null`: not present, or hidden by the kernel. */
  readonly frame: bigint | null;
  /** Where it is swapped to; `null`: it is not, or the kernel hides it. */
  readonly swap: { readonly device: number; readonly offset: bigint } | null;
}

const markerDevice = 31n;
const frameMask = (1n << 55n) - 1n;

function bit(raw: bigint, position: bigint): boolean {
  return ((raw >> position) & 1n) === 1n;
}

/** Takes an entry apart. */
export function decodePageEntry(raw: bigint): PageEntry {
  const guard = bit(raw, 58n);
  const present = bit(raw, 63n);
  const low = raw & frameMask;
  const isMarker = low === 0n ? bit(raw, 57n) : (low & 31n) === markerDevice;
  const swapped = bit(raw, 62n) && !present && !guard && !isMarker;
  return {
    raw,
    present,
    swapped,
    file: bit(raw, 61n),
    exclusive: bit(raw, 56n),
    softDirty: bit(raw, 55n),
    watched: bit(raw, 57n),
    guard,
    frame: present && low !== 0n ? low : null,
    swap: swapped && low !== 0n ? { device: Number(low & 31n), offset: low >> 5n } : null,
  };
}

/** Puts an entry together again: the inverse of {@link decodePageEntry}, for tests and pictures. */
export function encodePageEntry(entry: Omit<PageEntry, 'raw'>): bigint {
  const { present, swapped, file, exclusive, softDirty, watched, guard, frame, swap } = entry;
  const flags: [boolean, bigint][] = [
    [softDirty, 55n],
    [exclusive, 56n],
    [watched, 57n],
    [guard, 58n],
    [file, 61n],
    [swapped || guard, 62n],
    [present, 63n],
  ];
  const low = frame ?? (swap ? BigInt(swap.device) | (swap.offset << 5n) : 0n);
  return flags.reduce((raw, [isSet, position]) => (isSet ? raw | (1n << position) : raw), low);
}
