/**
 * Who maps a file: what keeps it in memory when it is asked to leave.
 */
import { readdirSync } from 'node:fs';
import { type Unknown, unknown } from '../core/unknown.ts';
import type { FileLike } from '../mapping/options.ts';
import { accountOf } from './accounting.ts';
import { isMappingOf, type OpenFile, realPathOf, withFile } from './file.ts';
import { MapTable, type NamedMaps } from './parse/maps.ts';
import { type SmapsEntry, SmapsTable } from './parse/smaps.ts';
import { parseStat } from './parse/stat.ts';
import { codeOf, readMappings, tryRead } from './proc.ts';

/** A process that maps a file. */
export interface Holder {
  readonly pid: number;
  /** The command's name. */
  readonly name: string;
  /** Clock ticks since boot when it was started: with the pid it names a process for good. */
  readonly startTicks: bigint;
  /** Its mappings of the file, with what they have in memory where that may be read. */
  readonly mappings: readonly SmapsEntry[];
  /** Bytes of the file in its page tables; `null`: unknown. */
  readonly resident: number | null;
  /** Bytes that it locks. */
  readonly locked: number | null;
}

/** The answer of {@link holders}. */
export interface Holders {
  readonly holders: readonly Holder[];
  /** Processes that may not be looked at, and may map it as well. */
  readonly unreadable: readonly number[];
  readonly unknown: readonly Unknown[];
}

function processes(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** `undefined`: it does not map the file, or is gone; `null`: it may not be looked at. */
function look(pid: number, file: OpenFile, realPath: string | null): Holder | null | undefined {
  const maps = readOwn(pid, 'maps');
  if (!maps) return maps;
  const cheap = new MapTable(maps).entries().filter((entry) => isMappingOf(entry, file, realPath));
  if (cheap.length === 0) return undefined;
  const smaps = readOwn(pid, 'smaps');
  const mappings: SmapsEntry[] = smaps
    ? new SmapsTable(smaps).entries().filter((entry) => isMappingOf(entry, file, realPath))
    : cheap;
  const stat = parseStat(tryRead(`/proc/${pid}/stat`) ?? '');
  if (!stat || mappings.length === 0) return undefined;
  const total = (name: 'resident' | 'locked') =>
    mappings.reduce<number | null>((sum, entry) => {
      const value = accountOf(entry)[name];
      return sum === null || value === null ? null : sum + value;
    }, 0);
  return {
    pid,
    name: stat.name,
    startTicks: stat.startTicks,
    mappings,
    resident: total('resident'),
    locked: total('locked'),
  };
}

function readOwn(pid: number, file: 'maps' | 'smaps'): NamedMaps | null | undefined {
  try {
    return readMappings(pid, file);
  } catch {}
  // Gone between the listing and the look, or closed to us.
  return tryRead(`/proc/${pid}/stat`) === null ? undefined : null;
}

/**
 * Which processes map a file, in memory or not. Processes that may not be looked at are listed, not
 * passed over: without privileges that is most of them.
 * @throws MemmapError ENOENT, EACCES, EISDIR, ENODEV.
 */
export function holders(file: FileLike): Holders {
  return withFile(file, (opened) => {
    const realPath = opened.path === null ? null : realPathOf(opened.path);
    const found: Holder[] = [];
    const unreadable: number[] = [];
    const gaps: Unknown[] = [];
    for (const pid of listed(gaps)) {
      const holder = look(pid, opened, realPath);
      if (holder) found.push(holder);
      else if (holder === null) unreadable.push(pid);
    }
    if (unreadable.length > 0) {
      const why = `processes that may not be looked at (EACCES): ${unreadable.length}`;
      gaps.push(unknown('holders', why, 'run as root; CAP_SYS_PTRACE shows processes of others'));
    }
    return { holders: found, unreadable, unknown: gaps };
  });
}

function listed(gaps: Unknown[]): number[] {
  try {
    return processes();
  } catch (error) {
    gaps.push(unknown('holders', `/proc may not be listed (${codeOf(error)})`));
    return [];
  }
}
