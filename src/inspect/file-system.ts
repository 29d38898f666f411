/**
 * What a file lies on: by the device of the file itself. Its path may lead elsewhere: a name in
 * /proc/PID/fd is one of proc, and the file is of memory, or deleted.
 */
import { statfsSync, statSync } from 'node:fs';
import { decodeDevice, realPathOf } from './file.ts';
import { type Mount, mountOf, parseMountinfo } from './parse/mountinfo.ts';
import { tryRead, tryReadNumber } from './proc.ts';

/** A file system, as far as it can be told. */
export interface FileSystem {
  /** `'ext4'`, `'tmpfs'`, ...; `null`: it is mounted nowhere that is seen here, and not known. */
  readonly type: string | null;
  /** The number of statfs(2) that stands for the kind (include/uapi/linux/magic.h). */
  readonly magic: number;
  /** `null`: it is mounted nowhere that is seen here. */
  readonly mount: Mount | null;
  /** Whether the device can be mapped without a page cache; `null`: there is none, or unknown. */
  readonly deviceIsDax: boolean | null;
}

/**
 * The kinds of file systems that are memory, by TMPFS_MAGIC and the others of
 * include/uapi/linux/magic.h; they need not be mounted where others see them.
 */
const kinds = new Map([
  [0x01021994, 'tmpfs'],
  [0x858458f6, 'ramfs'],
  [0x958458f6, 'hugetlbfs'],
  [0x5345434d, 'secretmem'],
]);

function isOn({ device }: Mount, { major, minor }: Mount['device']): boolean {
  return device.major === major && device.minor === minor;
}

/** Of the mounts of a device the one on the way to the file, or else one that shows all of it. */
function mountFor(path: string, magic: number): Mount | null {
  const mounts = parseMountinfo(tryRead('/proc/self/mountinfo') ?? '');
  const device = decodeDevice(statSync(path, { bigint: true }).dev);
  const onTheWay = mountOf(mounts, realPathOf(path));
  if (onTheWay && isOn(onTheWay, device)) return onTheWay;
  const others = mounts.filter((mount) => isOn(mount, device));
  const found = others.find(({ root }) => root === '/') ?? others[0];
  if (found) return found;
  // Some (btrfs) tell another device in stat than in mountinfo, but one kind.
  return onTheWay && statfsSync(onTheWay.point).type === magic ? onTheWay : null;
}

/** Of a partition the disk tells. */
function deviceIsDax({ major, minor }: Mount['device']): boolean | null {
  const directory = `/sys/dev/block/${major}:${minor}`;
  const said =
    tryReadNumber(`${directory}/queue/dax`) ?? tryReadNumber(`${directory}/../queue/dax`);
  return said === null ? null : said === 1;
}

/** Whether a file is kept in memory by its file system, and nowhere else. */
export function isMemory(fd: number): boolean {
  try {
    return kinds.has(statfsSync(`/proc/self/fd/${fd}`).type);
  } catch {
    return false; // without /proc
  }
}

/** @throws Error of Node.js where the path leads nowhere. */
export function fileSystemOf(path: string): FileSystem {
  const magic = statfsSync(path).type;
  const mount = mountFor(path, magic);
  return {
    type: mount?.type ?? kinds.get(magic) ?? null,
    magic,
    mount,
    deviceIsDax: mount && deviceIsDax(mount.device),
  };
}
