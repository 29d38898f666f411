/**
 * How an address becomes a place in a page: the indexes into the tables on the way.
 *
 * A table fills one page of 8-byte entries, so it is indexed by log2(page) - 3 bits: nine with
 * pages of 4 KiB. The address is cut into as many of these as it takes, from the offset in the page
 * upwards; the top table takes what is left (x86-64: Documentation/arch/x86/x86_64/5level-paging.rst;
 * arm64: Documentation/arch/arm64/memory.rst; riscv: Documentation/arch/riscv/vm-layout.rst).
 */

/** One of the tables that an address is led through. */
export interface TableLevel {
  readonly name: 'PGD' | 'P4D' | 'PUD' | 'PMD' | 'PTE';
  /** The lowest bit of the address that indexes this table. */
  readonly shift: number;
  /** How many bits do. */
  readonly bits: number;
}

/** The shape of the tables of a system. */
export interface PageTableShape {
  readonly levels: readonly TableLevel[];
  /** Bytes of the smallest page. */
  readonly pageBytes: number;
  /** Bits of an address that are translated. */
  readonly addressBits: number;
}

/** The way of one address through the tables. */
export interface PageWalk {
  /** From the top down to the leaf. */
  readonly indexes: readonly (TableLevel & { readonly index: number })[];
  /** The table whose entry is the page: PTE for an ordinary page, PMD or PUD for a huge one. */
  readonly leaf: TableLevel['name'];
  /** Bytes of the page. */
  readonly pageBytes: number;
  /** Of the address in the page. */
  readonly offset: number;
}

const names: Record<number, readonly TableLevel['name'][]> = {
  2: ['PGD', 'PTE'],
  3: ['PGD', 'PMD', 'PTE'],
  4: ['PGD', 'PUD', 'PMD', 'PTE'],
  5: ['PGD', 'P4D', 'PUD', 'PMD', 'PTE'],
};

/** The tables for addresses of so many bits; `null` where no Linux has such. */
export function pageTableShape(pageBytes: number, addressBits: number): PageTableShape | null {
  const pageShift = Math.log2(pageBytes);
  const indexBits = pageShift - 3;
  const levelNames = names[Math.ceil((addressBits - pageShift) / indexBits)];
  if (!Number.isInteger(pageShift) || !levelNames) return null;
  const levels = levelNames.map((name, depth) => {
    const shift = pageShift + (levelNames.length - 1 - depth) * indexBits;
    return { name, shift, bits: depth === 0 ? addressBits - shift : indexBits };
  });
  return { levels, pageBytes, addressBits };
}

/**
 * Leads an address through the tables.
 * @param pageBytes Of the page it lies in: larger than the system's for a huge page, whose leaf is
 * higher up. Pages between two levels (arm64's contiguous ones) belong to the lower one.
 */
export function walk(shape: PageTableShape, address: bigint, pageBytes: number): PageWalk {
  const shift = Math.log2(pageBytes);
  const depth = shape.levels.findIndex((level) => level.shift <= shift);
  const levels = shape.levels.slice(0, depth + 1);
  const leaf = levels.at(-1) as TableLevel;
  return {
    indexes: levels.map((level) => ({
      ...level,
      index: Number((address >> BigInt(level.shift)) & ((1n << BigInt(level.bits)) - 1n)),
    })),
    leaf: leaf.name,
    pageBytes,
    offset: Number(address & (BigInt(pageBytes) - 1n)),
  };
}

/** The sizes of user address spaces that kernels are built with, by what `process.arch` says. */
const userBits: Record<string, readonly number[]> = {
  // A kernel with five levels still places everything below 2^47 unless it is asked otherwise.
  x64: [47, 56],
  arm64: [36, 39, 42, 47, 48, 52],
};

/** What is to be seen of a system from its texts. */
export interface ProcessorFacts {
  /** As `process.arch` says: `'x64'`, `'arm64'`, ... */
  architecture: string;
  /** /proc/cpuinfo; `null`: not readable. */
  cpuinfo: string | null;
  /** The highest address that anything of a process is mapped at (not the vsyscall page). */
  highestAddress: bigint;
}

/**
 * How many bits of an address are translated; `null` where it cannot be told. On x86-64 the `la57`
 * flag decides, or a mapping that only five levels can reach: "57 bits virtual" in cpuinfo is
 * what the processor could do, not what the kernel does.
 */
export function addressBits(facts: ProcessorFacts): number | null {
  const { architecture, cpuinfo, highestAddress } = facts;
  const seen = highestAddress === 0n ? 0 : highestAddress.toString(2).length;
  if (architecture === 'x64') {
    const hasFlag = cpuinfo !== null && /^flags\s*:.*\bla57\b/m.test(cpuinfo);
    return hasFlag || seen > 47 ? 57 : 48;
  }
  if (architecture === 'riscv64') {
    const mode = cpuinfo && /^mmu\s*:\s*sv(\d+)/m.exec(cpuinfo)?.[1];
    return mode ? Number(mode) : null;
  }
  return userBits[architecture]?.find((bits) => bits >= seen) ?? null;
}

/** Half of the addresses: those of programs from 0 up, those of the kernel from the top down. */
export type AddressHalf = 'program' | 'kernel';

/** How many bits the addresses of programs have, of those that are translated. */
export function programBits(architecture: string, bits: number): number {
  // The halves of arm64 have a top table each; elsewhere they share one, by their highest bit.
  return architecture === 'arm64' ? bits : bits - 1;
}

/**
 * Whose half an address is in; `null`: in none, as its upper bits are not alike, and no table leads
 * there (x86-64 calls the others canonical).
 */
export function addressHalf(
  address: bigint,
  architecture: string,
  bits: number,
): AddressHalf | null {
  const low = BigInt(programBits(architecture, bits));
  const upper = address >> low;
  if (upper === 0n) return 'program';
  return upper === (1n << (64n - low)) - 1n ? 'kernel' : null;
}
