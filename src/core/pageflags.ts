/**
 * The bits of /proc/kpageflags, with their names and what they mean
 * (include/uapi/linux/kernel-page-flags.h, Documentation/admin-guide/mm/pagemap.rst).
 */

/** A flag of a page frame. */
export interface PageFlag {
  readonly bit: number;
  readonly name: string;
  /** In words. */
  readonly meaning: string;
}

const table: readonly [number, string, string][] = [
  [0, 'LOCKED', 'held by the kernel for the moment, as during input and output (not mlock)'],
  [1, 'ERROR', 'input or output failed'],
  [2, 'REFERENCED', 'used since it was last looked at'],
  [3, 'UPTODATE', 'holds what belongs in it'],
  [4, 'DIRTY', 'changed since it was last written to disk'],
  [5, 'LRU', 'on a list of pages that can be reclaimed'],
  [6, 'ACTIVE', 'on the list of pages in use'],
  [7, 'SLAB', "memory of the kernel's own objects"],
  [8, 'WRITEBACK', 'on its way to the disk'],
  [9, 'RECLAIM', 'leaves memory as soon as it is written'],
  [10, 'BUDDY', 'free'],
  [11, 'MMAP', 'mapped by some process'],
  [12, 'ANON', 'anonymous: belongs to no file'],
  [13, 'SWAPCACHE', 'has a place in swap as well'],
  [14, 'SWAPBACKED', 'goes to swap when memory is short'],
  [15, 'COMPOUND_HEAD', 'the first page of a block of several'],
  [16, 'COMPOUND_TAIL', 'a later page of a block of several'],
  [17, 'HUGE', 'of a huge page of the reserved pool (hugetlb)'],
  [18, 'UNEVICTABLE', 'may not leave memory, as by mlock'],
  [19, 'HWPOISON', 'broken memory'],
  [20, 'NOPAGE', 'there is no page frame'],
  [21, 'KSM', 'merged with pages of the same content'],
  [22, 'THP', 'of a transparent huge page'],
  [23, 'OFFLINE', 'taken out of use (before Linux 5.1: given to the hypervisor)'],
  [24, 'ZERO_PAGE', 'the page of zeros that all reads of untouched memory share'],
  [25, 'IDLE', 'not used since idle tracking began'],
  [26, 'PGTABLE', 'a page table'],
  [32, 'RESERVED', 'kept by the kernel'],
  [33, 'MLOCKED', 'locked by mlock'],
  [34, 'OWNER_2', 'for the file system (before Linux 6.13: on the disk)'],
  [35, 'PRIVATE', 'has data of its file system'],
  [36, 'PRIVATE_2', 'has more data of its file system'],
  [37, 'OWNER_PRIVATE', 'used as its owner likes'],
  [38, 'ARCH', 'used as the architecture likes'],
  [39, 'UNCACHED', 'not cached by the processor'],
  [40, 'SOFTDIRTY', 'changed since clear_refs'],
  [41, 'ARCH_2', 'used as the architecture likes'],
  [42, 'ARCH_3', 'used as the architecture likes'],
];

/** Every flag that is known, by its bit. */
export const pageFlags: readonly PageFlag[] = table.map(([bit, name, meaning]) => ({
  bit,
  name,
  meaning,
}));

/** The flags that are set, the lowest first; a bit without a name is `BIT_n`. */
export function decodePageFlags(raw: bigint): PageFlag[] {
  const flags: PageFlag[] = [];
  for (let bit = 0; bit < 64; bit++) {
    if (((raw >> BigInt(bit)) & 1n) === 0n) continue;
    const known = pageFlags.find((flag) => flag.bit === bit);
    flags.push(known ?? { bit, name: `BIT_${bit}`, meaning: 'not known to this version' });
  }
  return flags;
}
