/**
 * Checks of what a process may use and what the system has.
 */
import { type Check, check, type Needs, sizeInWords } from './diagnosis.ts';
import type { Limits } from './limits.ts';
import type { Room } from './room.ts';

function lockCheck(limits: Limits, needs: Needs): Check {
  const { soft = null, hard = null } = limits.resources.RLIMIT_MEMLOCK ?? {};
  const isFree = limits.capabilities?.CAP_IPC_LOCK ?? false;
  const value = `soft ${sizeInWords(soft)}, hard ${sizeInWords(hard)}, used ${sizeInWords(limits.locked.used)}`;
  if (soft === null) return check('limits', 'RLIMIT_MEMLOCK', value, { status: 'skip' });
  const left = soft - (limits.locked.used ?? 0);
  if (isFree) {
    const why = 'CAP_IPC_LOCK: the limit does not count for this process';
    return check('limits', 'RLIMIT_MEMLOCK', value, { why });
  }
  const cure = `ulimit -l ${needs.lock === undefined ? 'unlimited' : Math.ceil(needs.lock / 1024)}`;
  if (needs.lock !== undefined && needs.lock > left) {
    const canRaise = hard !== null && hard >= needs.lock;
    const why = `${sizeInWords(needs.lock)} are needed, ${sizeInWords(left)} are left`;
    return check('limits', 'RLIMIT_MEMLOCK', value, {
      status: 'fail',
      why,
      cure: canRaise ? cure : `${cure} (LimitMEMLOCK= in systemd), or grant CAP_IPC_LOCK`,
      needsRoot: !canRaise,
    });
  }
  return check('limits', 'RLIMIT_MEMLOCK', value);
}

function addressSpaceCheck(limits: Limits, needs: Needs): Check {
  const { used, maximum } = limits.addressSpace;
  const value = `${sizeInWords(maximum)}, used ${sizeInWords(used)}`;
  if (maximum === null) return check('limits', 'RLIMIT_AS', value, { status: 'skip' });
  const left = maximum - (used ?? 0);
  if (needs.map !== undefined && needs.map > left) {
    const why = `${sizeInWords(needs.map)} are needed, ${sizeInWords(left)} are left`;
    return check('limits', 'RLIMIT_AS', value, {
      status: 'fail',
      why,
      cure: 'ulimit -v unlimited',
    });
  }
  const why = maximum === Number.POSITIVE_INFINITY ? '' : 'mappings beyond it are ENOMEM';
  return check('limits', 'RLIMIT_AS', value, { status: why ? 'warn' : 'ok', why });
}

/** Whether what is to be mapped in one piece has a place; no right and no setting makes one. */
function roomCheck(room: Room | null, needs: Needs): Check {
  if (!room) return check('limits', 'addresses', 'unknown', { status: 'skip' });
  const { bits, size, largest } = room;
  const value = `${bits} bits, ${sizeInWords(size)}; the largest hole has ${sizeInWords(largest)}`;
  if (needs.map === undefined || needs.map <= largest) return check('limits', 'addresses', value);
  const state =
    needs.map > size ? 'there are no more addresses' : 'no hole is so large, which is ENOMEM';
  return check('limits', 'addresses', value, {
    status: 'fail',
    why: `${sizeInWords(needs.map)} are needed in one piece; ${state}`,
    cure: 'map parts of it, one after the other: offset and length of map(), or window()',
  });
}

function mapsCheck(limits: Limits, needs: Needs): Check {
  const { used, maximum } = limits.maps;
  const value = `${used ?? 'unknown'} of ${maximum ?? 'unknown'} (vm.max_map_count)`;
  if (used === null || maximum === null) {
    return check('limits', 'mappings', value, { status: 'skip' });
  }
  const wanted = needs.maps ?? 0;
  const cure = `sysctl -w vm.max_map_count=${Math.max(maximum * 4, (used + wanted) * 2)}`;
  if (used + wanted > maximum) {
    const why = `${wanted} more are needed; beyond the limit everything is ENOMEM`;
    return check('limits', 'mappings', value, { status: 'fail', why, cure, needsRoot: true });
  }
  if (used > maximum * 0.8) {
    const why = 'each change of rights in the middle of a mapping makes two more';
    return check('limits', 'mappings', value, { status: 'warn', why, cure, needsRoot: true });
  }
  return check('limits', 'mappings', value);
}

function capabilityChecks(limits: Limits): Check[] {
  const uses = {
    CAP_IPC_LOCK: 'locks more than RLIMIT_MEMLOCK',
    CAP_SYS_RESOURCE: 'raises hard limits',
    CAP_SYS_ADMIN: 'shows frames and their flags',
    CAP_SYS_PTRACE: 'shows the memory of processes of others',
    CAP_SYS_NICE: 'pages out the memory of other processes',
  } as const;
  const names = Object.keys(uses) as (keyof typeof uses)[];
  if (!limits.capabilities) return [];
  const held = limits.capabilities;
  return names.map((name) => check('limits', name, held[name] ? 'yes' : 'no', { why: uses[name] }));
}

function overcommitCheck(limits: Limits, needs: Needs): Check {
  const { mode, committed, limit } = limits.overcommit;
  const words = ['refuses what is obviously too much', 'refuses nothing', 'strict'];
  if (mode === null) return check('memory', 'overcommit', 'unknown', { status: 'skip' });
  const promised = `${sizeInWords(committed)} promised, CommitLimit ${sizeInWords(limit)}`;
  const counts = mode === 2 ? '' : ', which counts in mode 2 only';
  const value = `mode ${mode} (${words[mode] ?? 'unknown'}), ${promised}${counts}`;
  const isLess = mode !== 1 && needs.map !== undefined;
  const left =
    mode === 2 && limit !== null && committed !== null
      ? limit - committed
      : (limits.memory.total ?? Number.POSITIVE_INFINITY) + (limits.swap.total ?? 0);
  if (isLess && (needs.map as number) > left) {
    const why = `private memory that can be stored to: ${sizeInWords(left)} is what is promised; files are not counted`;
    const cure =
      'noReserve, or access none until it is needed; or sysctl -w vm.overcommit_memory=1';
    return check('memory', 'overcommit', value, { status: 'warn', why, cure, needsRoot: true });
  }
  return check('memory', 'overcommit', value);
}

function groupCheck(limits: Limits, needs: Needs): Check {
  const group = limits.controlGroup;
  if (!group) {
    const why = 'no memory controller is to be seen';
    return check('memory', 'control group', 'none', { why });
  }
  const value = `v${group.version}, ${sizeInWords(group.used)} of ${sizeInWords(group.maximum)}`;
  const { maximum } = group;
  if (maximum === null) return check('memory', 'control group', value, { status: 'skip' });
  if (maximum === Number.POSITIVE_INFINITY) return check('memory', 'control group', value);
  const isTight = needs.lock !== undefined && needs.lock > maximum - (group.used ?? 0);
  const why = isTight
    ? 'locking this much would end the process (OOM)'
    : 'the page cache of its files counts too; it leaves when it has to';
  return check('memory', 'control group', value, { status: isTight ? 'fail' : 'ok', why });
}

function hugePageChecks(limits: Limits, needs: Needs): Check[] {
  if (limits.hugePages.length === 0) {
    const status = needs.huge === undefined ? 'ok' : 'fail';
    return [check('memory', 'huge pages', 'none on this system', { status })];
  }
  return limits.hugePages.map((pool, index) => {
    const size = sizeInWords(pool.pageSize);
    const free = (pool.free ?? 0) - (pool.reserved ?? 0);
    const value = `${pool.free ?? '?'} free of ${pool.total ?? '?'}, ${pool.reserved ?? '?'} promised`;
    const wanted =
      index === 0 && needs.huge !== undefined ? Math.ceil(needs.huge / pool.pageSize) : 0;
    const name = `huge pages of ${size}`;
    if (wanted <= free) return check('memory', name, value);
    const kilobytes = pool.pageSize / 1024;
    const file = `/sys/kernel/mm/hugepages/hugepages-${kilobytes}kB/nr_hugepages`;
    return check('memory', name, value, {
      status: 'fail',
      why: `${wanted} are needed, ${Math.max(0, free)} can be had`,
      cure: `echo ${(pool.total ?? 0) + wanted - free} > ${file}`,
      needsRoot: true,
    });
  });
}

function transparentCheck(limits: Limits): Check {
  const { enabled, shared, defrag } = limits.transparentHugePages;
  if (enabled === null) {
    return check('memory', 'transparent huge pages', 'not in this kernel', { status: 'skip' });
  }
  const value = `${enabled}, shared memory ${shared ?? 'unknown'}, defrag ${defrag ?? 'unknown'}`;
  if (enabled !== 'never') return check('memory', 'transparent huge pages', value);
  return check('memory', 'transparent huge pages', value, {
    status: 'warn',
    why: "hugePages: 'transparent' has no effect",
    cure: 'echo madvise > /sys/kernel/mm/transparent_hugepage/enabled',
    needsRoot: true,
  });
}

/** Sizes that the kernel uses by itself, or where it is asked to. */
function transparentSizesCheck(limits: Limits): Check {
  const name = 'sizes of transparent huge pages';
  const { enabled, shared, sizes } = limits.transparentHugePages;
  if (sizes.length === 0) {
    const why = 'only that of a whole table of pages; Linux 6.8 has others';
    return check('memory', name, 'one', { status: 'skip', why });
  }
  const inherited = (said: string | null, whole: string | null) =>
    said === 'inherit' ? whole : said;
  const used = (key: 'enabled' | 'shared', whole: string | null) =>
    sizes.flatMap((size) => {
      const choice = inherited(size[key], whole) ?? 'never';
      return choice === 'never' ? [] : `${sizeInWords(size.pageSize)} ${choice}`;
    });
  const words = (list: string[]) => (list.length === 0 ? 'none' : list.join(', '));
  const said = `${words(used('enabled', enabled))}; shared memory ${words(used('shared', shared))}`;
  const own = sizes.filter((size) => size.enabled !== null).length;
  return check('memory', name, `${said}; of ${own} sizes`);
}

function swapCheck(limits: Limits): Check {
  const { total, free, devices } = limits.swap;
  const value = total === 0 ? 'off' : `${sizeInWords(free)} free of ${sizeInWords(total)}`;
  const none = 'anonymous and shared memory cannot leave; only pages of files can';
  const packed = 'zram: what is swapped stays in memory, packed; its faults count as major';
  const hasMemory = devices.some((device) => device.isMemory);
  const why = total === 0 ? none : hasMemory ? packed : '';
  return check('memory', 'swap', value, { status: total === null ? 'skip' : 'ok', why });
}

/** What the limits of a process and of the system mean for what is needed. */
export function checkLimits(limits: Limits, room: Room | null, needs: Needs): Check[] {
  const rooms = roomCheck(room, needs);
  // Where there is no place, no promise of memory helps.
  const map = rooms.status === 'fail' ? undefined : needs.map;
  return [
    lockCheck(limits, needs),
    addressSpaceCheck(limits, needs),
    rooms,
    mapsCheck(limits, needs),
    ...capabilityChecks(limits),
    overcommitCheck(limits, { ...needs, map }),
    groupCheck(limits, needs),
    ...hugePageChecks(limits, needs),
    transparentCheck(limits),
    transparentSizesCheck(limits),
    swapCheck(limits),
  ];
}
