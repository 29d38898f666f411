/**
 * A file that is looked at: opened without waiting, and known by its device and inode.
 */
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readlinkSync,
  realpathSync,
  statfsSync,
} from 'node:fs';
import { native } from '../binding/native.ts';
import { MemmapError } from '../core/errors.ts';
import { type FileLike, readTarget } from '../mapping/options.ts';
import type { MapEntry } from './parse/maps.ts';
import { codeOf, tryReadNumber } from './proc.ts';

/** A file by what the kernel knows it. */
export interface OpenFile {
  readonly fd: number;
  /** As given; of a descriptor what /proc says, or `null`. */
  readonly path: string | null;
  readonly device: { readonly major: number; readonly minor: number };
  readonly inode: bigint;
  /** Bytes. */
  readonly size: number;
  /** Bytes that have room on the disk or, on a hugetlbfs, in memory. */
  readonly allocated: number;
  readonly isBlockDevice: boolean;
  /** Bytes of its pages where it is on a hugetlbfs; `null`: it is not. */
  readonly hugePageSize: number | null;
}

const blockSector = 512; // of /sys/dev/block/*/size, whatever the device's own is
const statBlock = 512; // of st_blocks (inode(7))

/** Takes a device number apart (include/linux/kdev_t.h, new_decode_dev, as stat(2) gives it). */
export function decodeDevice(dev: bigint): { major: number; minor: number } {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
  return { major: Number(major & 0xffffffffn), minor: Number(minor & 0xffffffffn) };
}

function pathOf(fd: number): string | null {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return null;
  }
}

/** The path without links, where it can be had. */
export function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/**
 * Whether a mapping is of this file. Some file systems (btrfs, overlayfs) show another device in
 * maps than in stat, so that the path may speak for the same inode.
 */
export function isMappingOf(entry: MapEntry, file: OpenFile, realPath: string | null): boolean {
  if (entry.inode !== file.inode) return false;
  const { major, minor } = entry.device;
  return (
    (major === file.device.major && minor === file.device.minor) ||
    (entry.name !== null && entry.name === realPath)
  );
}

const hugetlbfsMagic = 0x958458f6; // include/uapi/linux/magic.h

/** A hugetlbfs gives its page as the size of a block. Mapping it to ask would reserve pages. */
function hugePageSizeOf(fd: number, blockSize: number): number | null {
  if (blockSize <= native.pageBytes) return null;
  try {
    return statfsSync(`/proc/self/fd/${fd}`).type === hugetlbfsMagic ? blockSize : null;
  } catch {
    return null; // without /proc
  }
}

function statOf(fd: number, path: string | null) {
  try {
    return fstatSync(fd, { bigint: true });
  } catch (error) {
    const { code = 'EIO', errno, syscall } = error as NodeJS.ErrnoException;
    const message = `Cannot look at ${path ?? `descriptor ${fd}`}: it is not open (${code}, fstat)`;
    throw new MemmapError(code, message, { errno, syscall, path: path ?? undefined });
  }
}

function describe(fd: number, path: string | null): OpenFile {
  const stat = statOf(fd, path);
  const refuse = (code: string, state: string, hint: string) => {
    const message = `Cannot look at ${path ?? `descriptor ${fd}`}: ${state} (${code})`;
    return new MemmapError(code, message, { path: path ?? undefined, hint });
  };
  if (stat.isDirectory()) throw refuse('EISDIR', 'it is a directory', 'name the files in it');
  if (!stat.isFile() && !stat.isBlockDevice()) {
    throw refuse('ENODEV', 'it has no page cache', 'only files and block devices have one');
  }
  const { major, minor } = decodeDevice(stat.isBlockDevice() ? stat.rdev : stat.dev);
  const sectors = stat.isBlockDevice()
    ? tryReadNumber(`/sys/dev/block/${major}:${minor}/size`)
    : null;
  return {
    fd,
    path,
    device: decodeDevice(stat.dev),
    inode: stat.ino,
    size: sectors === null ? Number(stat.size) : sectors * blockSector,
    allocated: Number(stat.blocks) * statBlock,
    isBlockDevice: stat.isBlockDevice(),
    hugePageSize: hugePageSizeOf(fd, Number(stat.blksize)),
  };
}

function open(path: string): number {
  try {
    // A FIFO must not hang.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const code = codeOf(error);
    const { errno } = error as NodeJS.ErrnoException;
    const state = code === 'ENOENT' ? 'there is no such file' : 'it cannot be opened';
    const hint = code === 'EACCES' ? 'run as root, or as a user who may read it' : undefined;
    const details = { errno, syscall: 'open', path, hint };
    throw new MemmapError(code, `Cannot look at ${path}: ${state} (${code}, open)`, details);
  }
}

/** Opens a file for the time of `work`; a descriptor stays the caller's. */
export function withFile<T>(file: FileLike, work: (file: OpenFile) => T): T {
  const { target } = readTarget(file);
  if (typeof target === 'number') return work(describe(target, pathOf(target)));
  const fd = open(target);
  try {
    return work(describe(fd, target));
  } finally {
    closeSync(fd);
  }
}
