/**
 * The mappings of a process, and its memory in sum.
 */
import { type MapEntry, MapTable } from './parse/maps.ts';
import {
  parseSmapsRollup,
  type SmapsEntry,
  type SmapsQuantities,
  SmapsTable,
} from './parse/smaps.ts';
import { type ProcessStat, parseStat } from './parse/stat.ts';
import { type ProcessStatm, parseStatm } from './parse/statm.ts';
import { type ProcessStatus, parseStatus } from './parse/status.ts';
import { checkProcess, type ProcessId, readMappings, readProcess, refusedProcess } from './proc.ts';

/**
 * The mappings of a process, by address. A kernel thread and a zombie have none. Cheap: some tens
 * of microseconds.
 * @throws MemmapError ESRCH, EACCES.
 */
export function readMaps(pid: ProcessId = 'self'): MapEntry[] {
  checkProcess(pid);
  return new MapTable(readMappings(pid, 'maps')).entries();
}

/**
 * The mappings of a process with what they have in memory. Costs the kernel a walk over all its
 * page tables (4 ms for each GiB that is in memory), during which the process cannot map.
 * @throws MemmapError ESRCH, EACCES; ERR_MEMMAP_UNSUPPORTED on kernels without it.
 */
export function readSmaps(pid: ProcessId = 'self'): SmapsEntry[] {
  checkProcess(pid);
  return new SmapsTable(readMappings(pid, 'smaps')).entries();
}

/** The sums of {@link readSmaps}, at the same cost for the kernel; since Linux 4.14. */
export function readRollup(pid: ProcessId = 'self'): SmapsQuantities {
  checkProcess(pid);
  return parseSmapsRollup(readProcess(pid, 'smaps_rollup'));
}

/** /proc/PID/status: readable for every process, whoever asks. @throws MemmapError ESRCH. */
export function readStatus(pid: ProcessId = 'self'): ProcessStatus {
  checkProcess(pid);
  return parseStatus(readProcess(pid, 'status'));
}

/** /proc/PID/stat: readable for every process, whoever asks. @throws MemmapError ESRCH. */
export function readStat(pid: ProcessId = 'self'): ProcessStat {
  checkProcess(pid);
  const stat = parseStat(readProcess(pid, 'stat'));
  if (!stat) throw refusedProcess({ code: 'ESRCH' }, pid, 'stat');
  return stat;
}

/** /proc/PID/statm, in pages: the cheapest look (4 microseconds). @throws MemmapError ESRCH. */
export function readStatm(pid: ProcessId = 'self'): ProcessStatm {
  checkProcess(pid);
  const statm = parseStatm(readProcess(pid, 'statm'));
  if (!statm) throw refusedProcess({ code: 'ESRCH' }, pid, 'statm');
  return statm;
}
