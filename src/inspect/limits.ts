/**
 * What a process may use: its own limits, those of its control group, and those of the system.
 */
import { readdirSync } from 'node:fs';
import type { Unknown } from '../core/unknown.ts';
import { readStatus } from './maps.ts';
import { parseMemoryGroup } from './parse/cgroup.ts';
import { parseLimits, type ResourceLimits } from './parse/limits.ts';
import { type MemoryInfo, parseMeminfo } from './parse/meminfo.ts';
import { type Capability, capabilityBits, hasCapability } from './parse/status.ts';
import { parseSwaps, type SwapDevice } from './parse/swaps.ts';
import { parseVmstat, type VmStatistics } from './parse/vmstat.ts';
import { checkProcess, type ProcessId, readProcessOr, tryRead, tryReadNumber } from './proc.ts';

/** How much of something is used, and how much may be; `null`: unknown, `Infinity`: no limit. */
export interface Usage {
  readonly used: number | null;
  readonly maximum: number | null;
}

/** A pool of huge pages of one size. */
export interface HugePagePool {
  /** Bytes of a page. */
  readonly pageSize: number;
  /** Pages in the pool. */
  readonly total: number | null;
  readonly free: number | null;
  /** Free, but promised to a mapping. */
  readonly reserved: number | null;
  /** Above the pool's size, given back when they are free. */
  readonly surplus: number | null;
}

/** What the kernel does about transparent huge pages of one size. */
export interface TransparentSize {
  /** Bytes of a page. */
  readonly pageSize: number;
  /** Of private memory; `'inherit'`: as for all sizes. `null`: there are none of this size. */
  readonly enabled: string | null;
  /** Of shared memory. */
  readonly shared: string | null;
}

/** The answer of {@link limits}; bytes and counts. */
export interface Limits {
  readonly pid: ProcessId;
  readonly resources: ResourceLimits;
  /** In effect; `null`: unknown. */
  readonly capabilities: Readonly<Record<Capability, boolean>> | null;
  /** Mappings, against vm.max_map_count. */
  readonly maps: Usage;
  /** Locked bytes, against RLIMIT_MEMLOCK; no limit with CAP_IPC_LOCK. */
  readonly locked: Usage;
  /** Address space in bytes, against RLIMIT_AS. */
  readonly addressSpace: Usage;
  readonly overcommit: {
    /** 0: what is obviously too much is refused; 1: nothing is; 2: what exceeds the limit is. */
    readonly mode: number | null;
    /** Bytes promised in the whole system, against CommitLimit (which counts in mode 2 only). */
    readonly committed: number | null;
    readonly limit: number | null;
  };
  readonly memory: { readonly total: number | null; readonly available: number | null };
  readonly swap: {
    readonly total: number | null;
    readonly free: number | null;
    readonly devices: readonly SwapDevice[];
  };
  /** The control group's memory; `null`: there is none, or it cannot be seen. */
  readonly controlGroup: (Usage & { readonly version: 1 | 2; readonly path: string }) | null;
  readonly hugePages: readonly HugePagePool[];
  /** The choice in brackets of each file in /sys/kernel/mm/transparent_hugepage. */
  readonly transparentHugePages: {
    readonly enabled: string | null;
    readonly shared: string | null;
    readonly defrag: string | null;
    /** By size, the small ones first (since Linux 6.8); empty: the kernel has one size only. */
    readonly sizes: readonly TransparentSize[];
  };
  readonly unknown: readonly Unknown[];
}

/** The memory of the system. */
export function readMeminfo(): MemoryInfo {
  return parseMeminfo(tryRead('/proc/meminfo') ?? '');
}

/** Counters of the system. */
export function readVmstat(): VmStatistics {
  return parseVmstat(tryRead('/proc/vmstat') ?? '');
}

/** The choice in brackets: `always [madvise] never`. */
function choiceOf(text: string | null): string | null {
  return text === null ? null : (/\[([^\]]+)\]/.exec(text)?.[1] ?? null);
}

/** Directories of one size each, `hugepages-2048kB`, the small ones first. */
function sizesIn(directory: string): { pageSize: number; path: string }[] {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return []; // a kernel without them
  }
  return names
    .flatMap((name) => {
      const kilobytes = /^hugepages-(\d+)kB$/.exec(name)?.[1];
      const path = `${directory}/${name}`;
      return kilobytes === undefined ? [] : { pageSize: Number(kilobytes) * 1024, path };
    })
    .sort((a, b) => a.pageSize - b.pageSize);
}

function hugePagePools(): HugePagePool[] {
  return sizesIn('/sys/kernel/mm/hugepages').map(({ pageSize, path }) => ({
    pageSize,
    total: tryReadNumber(`${path}/nr_hugepages`),
    free: tryReadNumber(`${path}/free_hugepages`),
    reserved: tryReadNumber(`${path}/resv_hugepages`),
    surplus: tryReadNumber(`${path}/surplus_hugepages`),
  }));
}

const transparentDirectory = '/sys/kernel/mm/transparent_hugepage';

function transparentHugePages(): Limits['transparentHugePages'] {
  const choice = (path: string) => choiceOf(tryRead(path));
  return {
    enabled: choice(`${transparentDirectory}/enabled`),
    shared: choice(`${transparentDirectory}/shmem_enabled`),
    defrag: choice(`${transparentDirectory}/defrag`),
    sizes: sizesIn(transparentDirectory).map(({ pageSize, path }) => ({
      pageSize,
      enabled: choice(`${path}/enabled`),
      shared: choice(`${path}/shmem_enabled`),
    })),
  };
}

/** Bytes of the transparent huge page that every kernel with them has; `null`: it has none. */
export function transparentPageSize(): number | null {
  return tryReadNumber(`${transparentDirectory}/hpage_pmd_size`);
}

/** Version 1 says "no limit" with the largest number of whole pages (mm/page_counter.c). */
const practicallyUnlimited = 2 ** 62;

function controlGroup(pid: ProcessId, gaps: Unknown[]): Limits['controlGroup'] {
  const text = readProcessOr(pid, 'cgroup', gaps);
  const group = text === null ? null : parseMemoryGroup(text);
  if (!group) return null;
  const { version, path } = group;
  const [root, current, limit] =
    version === 2
      ? ['/sys/fs/cgroup', 'memory.current', 'memory.max']
      : ['/sys/fs/cgroup/memory', 'memory.usage_in_bytes', 'memory.limit_in_bytes'];
  // Inside a container the group's own directory is the root that is seen.
  const read = (file: string) => tryRead(`${root}${path}/${file}`) ?? tryRead(`${root}/${file}`);
  const said = read(limit)?.trim();
  const used = read(current)?.trim();
  const maximum =
    said === undefined ? null : said === 'max' ? Number.POSITIVE_INFINITY : Number(said);
  return {
    version,
    path,
    used: used === undefined ? null : Number(used),
    maximum:
      maximum !== null && maximum >= practicallyUnlimited ? Number.POSITIVE_INFINITY : maximum,
  };
}

function lockedUsage(resources: ResourceLimits, isFree: boolean | undefined, used: number | null) {
  const soft = resources.RLIMIT_MEMLOCK?.soft ?? null;
  return { used, maximum: isFree ? Number.POSITIVE_INFINITY : soft };
}

function countLines(text: string | null): number | null {
  return text === null ? null : text.split('\n').length - 1;
}

/**
 * The limits that memory mapping meets, with what is used of them.
 * @throws MemmapError ESRCH.
 */
export function limits(pid: ProcessId = 'self'): Limits {
  checkProcess(pid);
  const gaps: Unknown[] = [];
  const status = readStatus(pid);
  const resources = parseLimits(readProcessOr(pid, 'limits', gaps) ?? '');
  const bits = status.capabilities;
  const capabilities =
    bits === undefined
      ? null
      : (Object.fromEntries(
          (Object.keys(capabilityBits) as Capability[]).map((name) => [
            name,
            hasCapability(bits, name),
          ]),
        ) as Record<Capability, boolean>);
  const memory = readMeminfo();
  return {
    pid,
    resources,
    capabilities,
    maps: {
      used: countLines(readProcessOr(pid, 'maps', gaps)),
      maximum: tryReadNumber('/proc/sys/vm/max_map_count'),
    },
    locked: lockedUsage(resources, capabilities?.CAP_IPC_LOCK, status.locked ?? null),
    addressSpace: {
      used: status.virtual ?? null,
      maximum: resources.RLIMIT_AS?.soft ?? null,
    },
    overcommit: {
      mode: tryReadNumber('/proc/sys/vm/overcommit_memory'),
      committed: memory.Committed_AS ?? null,
      limit: memory.CommitLimit ?? null,
    },
    memory: { total: memory.MemTotal ?? null, available: memory.MemAvailable ?? null },
    swap: {
      total: memory.SwapTotal ?? null,
      free: memory.SwapFree ?? null,
      devices: parseSwaps(tryRead('/proc/swaps') ?? ''),
    },
    controlGroup: controlGroup(pid, gaps),
    hugePages: hugePagePools(),
    transparentHugePages: transparentHugePages(),
    unknown: gaps,
  };
}
