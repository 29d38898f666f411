/**
 * From an address of a process to its page, with the mapping around it.
 */
import type { Unknown } from '../core/unknown.ts';
import type { FileLike } from '../mapping/options.ts';
import { type Translation, translateAddress } from '../mapping/translation.ts';
import { isMappingOf, realPathOf, withFile } from './file.ts';
import { readMaps } from './maps.ts';
import type { MapEntry } from './parse/maps.ts';
import { type SmapsEntry, SmapsTable } from './parse/smaps.ts';
import { checkAddress, checkProcess, type ProcessId, readMappingsOr } from './proc.ts';

/** The answer of {@link translate}. */
export interface ProcessTranslation extends Translation {
  /** The mapping that holds the address; `null`: none does, or the mappings may not be read. */
  readonly mapping: SmapsEntry | MapEntry | null;
  /** The byte of the file under the address; `null`: there is none. */
  readonly fileOffset: bigint | null;
}

/** The mapping that holds an address. */
export function mappingAt<Entry extends MapEntry>(
  entries: readonly Entry[],
  address: bigint,
): Entry | null {
  return entries.find((entry) => entry.start <= address && address < entry.end) ?? null;
}

function addressIn(
  entries: readonly MapEntry[],
  offset: bigint,
  isWanted: (entry: MapEntry) => boolean,
): bigint | null {
  for (const entry of entries) {
    const place = offset - entry.offset;
    const isInside = place >= 0n && place < BigInt(entry.length);
    if (isInside && isWanted(entry)) return entry.start + place;
  }
  return null;
}

/** The address of a byte of a file by its name in maps; `null`: no mapping so named has it. */
export function addressOf(
  entries: readonly MapEntry[],
  path: string,
  offset: bigint,
): bigint | null {
  return addressIn(entries, offset, ({ name }) => name === path);
}

/**
 * The address of a byte of a file that is there, by whichever of its names; `null`: it is not mapped.
 * @throws MemmapError ENOENT, EACCES, EISDIR, ENODEV.
 */
export function addressOfFile(
  entries: readonly MapEntry[],
  file: FileLike,
  offset: bigint,
): bigint | null {
  return withFile(file, (opened) => {
    const realPath = opened.path === null ? null : realPathOf(opened.path);
    return addressIn(entries, offset, (entry) => isMappingOf(entry, opened, realPath));
  });
}

/**
 * Leads an address through the page tables of a process, to the frame and what the kernel notes of
 * it. The indexes follow from the address alone; the contents of upper tables no kernel shows.
 * Without privileges the entry of own processes is known but not its frame.
 *
 * ```ts
 * const { walk, frame } = translate('self', mapping.address);
 * ```
 * @throws MemmapError ESRCH.
 */
export function translate(pid: ProcessId, address: bigint): ProcessTranslation {
  checkProcess(pid);
  checkAddress(address);
  const gaps: Unknown[] = [];
  const smaps = readMappingsOr(pid, gaps);
  const entries = smaps === null ? mapsOr(pid) : new SmapsTable(smaps).entries();
  const mapping = entries && mappingAt(entries, address);
  const flags = (mapping as SmapsEntry | null)?.flags;
  const translation = translateAddress(pid, address, {
    hugetlbBytes: flags?.includes('ht') ? (mapping as SmapsEntry).kernelPageSize : undefined,
    mayBeHuge: mapping ? hasHugePages(mapping) : undefined,
  });
  const hasFile = mapping !== null && mapping.inode !== 0n;
  return {
    ...translation,
    mapping,
    fileOffset: hasFile ? mapping.offset + (address - mapping.start) : null,
    unknown: [...gaps, ...translation.unknown],
  };
}

function mapsOr(pid: ProcessId): MapEntry[] | null {
  try {
    return readMaps(pid);
  } catch {
    return null; // the gap was noted with smaps
  }
}

function hasHugePages(entry: SmapsEntry): boolean | undefined {
  const { anonHugePages, shmemHugePages = 0, fileHugePages = 0 } = entry;
  return anonHugePages === undefined
    ? undefined
    : anonHugePages + shmemHugePages + fileHugePages > 0;
}
