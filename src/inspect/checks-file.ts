/**
 * Checks of a file that is going to be mapped.
 */
import { accessSync, constants, lstatSync, statfsSync, statSync } from 'node:fs';
import { native } from '../binding/native.ts';
import { type Check, check, sizeInWords } from './diagnosis.ts';
import { withFile } from './file.ts';
import { type FileSystem, fileSystemOf } from './file-system.ts';
import { holders } from './holders.ts';
import { transparentPageSize } from './limits.ts';
import type { Mount } from './parse/mountinfo.ts';
import { codeOf, tryReadNumber } from './proc.ts';
import { residency } from './residency.ts';
import type { Room } from './room.ts';

const readAheadLimit = 2 ** 20; // a random touch that reads more than this is worth a word

function typeOf(path: string): Check | null {
  try {
    const stat = statSync(path);
    if (stat.isFile()) return null;
    const kinds: [boolean, string, string][] = [
      [stat.isDirectory(), 'directory', 'map the files in it'],
      [stat.isFIFO(), 'pipe', 'read() it, or write it to a file first'],
      [stat.isSocket(), 'socket', 'read() it'],
      [stat.isCharacterDevice(), 'character device', 'only some have pages; pass the length'],
      [stat.isBlockDevice(), 'block device', ''],
    ];
    const [, kind, cure] = kinds.find(([is]) => is) ?? [true, 'special file', 'read() it'];
    const isDevice = stat.isBlockDevice() || stat.isCharacterDevice();
    const why = isDevice ? '' : 'mmap refuses it with ENODEV';
    return check('file', 'type', kind, {
      status: isDevice ? 'warn' : 'fail',
      why,
      cure: cure || null,
    });
  } catch (error) {
    const code = codeOf(error);
    const why = code === 'ENOENT' && isDanglingLink(path) ? 'a link to nothing' : `stat: ${code}`;
    return check('file', 'type', 'unknown', { status: 'fail', why });
  }
}

function isDanglingLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
}

function rightCheck(path: string): Check {
  const may = (mode: number) => {
    try {
      accessSync(path, mode);
      return true;
    } catch {
      return false;
    }
  };
  if (!may(constants.R_OK)) {
    const why = 'a mapping needs a descriptor that was opened for reading, whatever its access is';
    return check('file', 'rights', 'no reading', { status: 'fail', why, cure: `chmod +r ${path}` });
  }
  if (may(constants.W_OK)) return check('file', 'rights', 'reading and writing');
  const why = "access 'read' and 'copy' only; 'write' is EACCES";
  return check('file', 'rights', 'reading', { why });
}

function systemChecks(system: FileSystem): Check[] {
  const { type, magic, mount } = system;
  const place = mount ? `on ${mount.point}` : 'not mounted';
  const value = `${type ?? 'unknown'} ${place}, magic 0x${magic.toString(16)}`;
  const finding = type === null ? { status: 'skip' as const } : systemFinding(type);
  const checks = [check('file', 'file system', value, finding), ...daxChecks(system)];
  if (optionsOf(mount).includes('ro')) {
    const why = "access 'write' is EROFS";
    checks.push(check('file', 'mounted', 'read-only', { status: 'warn', why }));
  }
  return checks;
}

const optionsOf = (mount: Mount | null) => (mount ? [...mount.options, ...mount.superOptions] : []);

/** Whether stores reach the storage itself, and whether MAP_SYNC may promise so. */
function daxChecks({ type, mount, deviceIsDax }: FileSystem): Check[] {
  const options = optionsOf(mount);
  const isDax = options.some((option) => /^dax(=always)?$/.test(option));
  const maySingle = deviceIsDax === true && !options.includes('dax=never');
  const why = isDax ? 'mapped memory is the storage itself; there is no page cache' : '';
  if (!isDax && maySingle) {
    const each = "the device has it, and each file may be set to it (xfs_io -c 'chattr +x')";
    return [
      check('file', 'DAX', 'of single files', { why: each }),
      check('file', 'MAP_SYNC', 'of single files', { why: 'of those with DAX' }),
    ];
  }
  const hasSync = isDax && (type === 'ext4' || type === 'xfs');
  return [
    check('file', 'DAX', isDax ? 'yes' : 'no', { why }),
    check('file', 'MAP_SYNC', hasSync ? 'yes' : 'no', {
      why: hasSync ? '' : 'mmap refuses it with EOPNOTSUPP; flush() makes stores durable',
    }),
  ];
}

function systemFinding(type: string) {
  if (/^(proc|sysfs|tracefs|debugfs|cgroup2?)$/.test(type)) {
    const why = 'most of its files have no pages: ENODEV';
    return { status: 'fail' as const, why, cure: 'read() it' };
  }
  if (type === 'hugetlbfs') {
    const why = 'offset and length in huge pages; write(2) is EINVAL, only stores reach it';
    return { status: 'warn' as const, why };
  }
  if (type === 'tmpfs') return { why: 'memory: what is in it leaves only to swap' };
  if (/^(nfs4?|cifs|smb3|9p|fuse(\..*)?|virtiofs)$/.test(type)) {
    const why = 'of another machine or program: stores of others show late, errors come as faults';
    return { status: 'warn' as const, why };
  }
  return {};
}

function readAheadCheck(major: number, minor: number): Check {
  const kilobytes = tryReadNumber(`/sys/class/bdi/${major}:${minor}/read_ahead_kb`);
  if (kilobytes === null) return check('file', 'read ahead', 'unknown', { status: 'skip' });
  const bytes = kilobytes * 1024;
  if (bytes <= readAheadLimit) return check('file', 'read ahead', sizeInWords(bytes));
  return check('file', 'read ahead', sizeInWords(bytes), {
    status: 'warn',
    why: 'one touch at random reads this much',
    cure: "advice: 'random', or lower read_ahead_kb of the device",
  });
}

function holeChecks(path: string, size: number): Check[] {
  const stat = statSync(path);
  const holes = size - stat.blocks * 512; // st_blocks counts in 512 bytes (stat(2))
  if (holes <= 0) return [];
  const { bavail, bsize } = statfsSync(path);
  const free = bavail * bsize;
  const isShort = free < holes;
  return [
    check('file', 'holes', sizeInWords(holes), {
      status: isShort ? 'warn' : 'ok',
      why: isShort
        ? `a store into one needs a block, and ${sizeInWords(free)} are free (SIGBUS)`
        : '',
      cure: isShort ? 'extend: true allocates before, so that a full disk is ENOSPC' : null,
    }),
  ];
}

function sizeCheck(size: number, room: Room | null): Check {
  const value = sizeInWords(size);
  if (size === 0) {
    const why = 'an empty file maps to an empty mapping; a touch beyond the end is a fault';
    return check('file', 'size', value, { status: 'warn', why });
  }
  if (!room || size <= room.largest) return check('file', 'size', value);
  return check('file', 'size', value, {
    status: 'fail',
    why: `the largest hole of the address space has ${sizeInWords(room.largest)}: ENOMEM`,
    cure: 'map parts of it: offset and length of map(), or window()',
  });
}

/** What is left of a file when it is cut into pages and huge pages. */
function alignmentCheck(size: number, hugePageSize: number | null): Check {
  const page = hugePageSize ?? native.pageBytes;
  const rest = size % page;
  if (rest !== 0) {
    const why = `its last page has ${rest} bytes; the rest reads as zeros`;
    return check('file', 'alignment', 'no whole pages', { why });
  }
  if (hugePageSize !== null) {
    const why = 'offset and length of a mapping are multiples of them, or EINVAL';
    return check('file', 'alignment', `whole pages of ${sizeInWords(page)}`, { why });
  }
  const huge = transparentPageSize();
  if (huge === null) return check('file', 'alignment', 'whole pages');
  const words = sizeInWords(huge);
  if (size % huge === 0) return check('file', 'alignment', `whole huge pages of ${words}`);
  const why = `its last ${sizeInWords(size % huge)} fill no huge page of ${words}`;
  return check('file', 'alignment', 'whole pages', { why });
}

function cacheCheck(path: string): Check {
  const { cached, pages, unknown } = residency(path);
  if (cached !== null) return check('file', 'in memory', `${cached} of ${pages} pages`);
  const [gap] = unknown;
  return check('file', 'in memory', 'unknown', {
    status: 'skip',
    why: gap?.why ?? '',
    cure: gap?.hint ?? null,
    needsRoot: true,
  });
}

function holderCheck(path: string): Check {
  const { holders: found, unreadable } = holders(path);
  const names = found.map((holder) => `${holder.name}(${holder.pid})`).join(', ');
  const why =
    unreadable.length > 0 ? `processes that may not be looked at: ${unreadable.length}` : '';
  return check('file', 'mapped by', names || 'nobody that can be seen', { why });
}

/** What there is to know of a file before it is mapped where there is so much room. */
export function checkFile(path: string, room: Room | null): Check[] {
  const type = typeOf(path);
  if (type?.status === 'fail') return [type];
  const rights = rightCheck(path);
  const system = systemChecks(fileSystemOf(path));
  const before = [type ?? check('file', 'type', 'file'), ...system, rights];
  if (rights.status === 'fail') return before;
  if (type) return before;
  const { size, device, hugePageSize } = withFile(path, (file) => file);
  return [
    ...before,
    sizeCheck(size, room),
    alignmentCheck(size, hugePageSize),
    ...holeChecks(path, size),
    readAheadCheck(device.major, device.minor),
    cacheCheck(path),
    holderCheck(path),
  ];
}
