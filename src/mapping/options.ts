/**
 * What can be asked of a mapping, and how it is read: every option once, checked before anything
 * happens, nothing converted.
 */
import { fileURLToPath } from 'node:url';
import { Access, Flag, native } from '../binding/native.ts';
import { invalidArgument, outOfRange } from '../core/errors.ts';
import { isAligned, nearest } from '../core/page.ts';
import { boolean, integer, isUrl, object, oneOf } from '../core/validate.ts';
import { type Advice, adviceNames } from './advice.ts';

/** What the pages of a mapping may do. */
export type FileAccess = 'read' | 'write' | 'copy';
export type AnonymousAccess = 'none' | 'read' | 'write';
export type MappingAccess = FileAccess | AnonymousAccess;
export type HugePages = false | 'transparent' | '2MiB' | '1GiB';

/** Anything with a descriptor, such as the FileHandle of `node:fs/promises`. */
export interface HasDescriptor {
  readonly fd: number;
}
/** A path, a `file:` URL, a file descriptor, or a FileHandle; the last two stay the caller's. */
export type FileLike = string | URL | number | HasDescriptor;

interface CommonOptions {
  /**
   * Bytes of address space to keep, so that `resize` up to it moves nothing and views stay valid.
   * Default: none; `resize` then detaches earlier views.
   */
  capacity?: number | undefined;
  /**
   * `buffer` is a SharedArrayBuffer: it can be posted to workers, and cannot be detached. Needs a
   * page-aligned `offset`. Default false.
   */
  shared?: boolean | undefined;
  /** All pages are brought in before the call returns (MADV_POPULATE). Default false. */
  populate?: boolean | undefined;
  /** All pages are locked in memory before the call returns (mlock2). Default false. */
  locked?: boolean | undefined;
  /** No swap is reserved (MAP_NORESERVE). No effect on files that are shared. Default false. */
  noReserve?: boolean | undefined;
  /** The first {@link Mapping.advise}. Default none. */
  advice?: Advice | undefined;
  /**
   * `'transparent'`: the kernel is asked to use huge pages where it can. `'2MiB'`, `'1GiB'`: pages
   * of this size from the reserved pool, for anonymous memory; a file must be of a hugetlbfs with
   * that page. Default false.
   */
  hugePages?: HugePages | undefined;
  /**
   * Where the first page shall be: page-aligned, and free, else EEXIST (MAP_FIXED_NOREPLACE).
   * Default: where the system likes.
   */
  address?: bigint | undefined;
}

export interface MapOptions extends CommonOptions {
  /**
   * `'read'`; `'write'`: stores reach the file (MAP_SHARED); `'copy'`: stores stay in this process
   * (MAP_PRIVATE, copy on write). Default `'read'`.
   */
  access?: FileAccess | undefined;
  /** First byte in the file; any byte. Default 0. */
  offset?: number | undefined;
  /** Bytes. Default: to the end of the file. A RangeError beyond it, unless `extend`. */
  length?: number | undefined;
  /** Make the file where there is none, with mode 0o666 & ~umask. Needs `'write'`. Default false. */
  create?: boolean | undefined;
  /**
   * Grow the file to hold the range, with its blocks allocated, so that a full disk is ENOSPC now
   * and not a fault later. Needs `'write'`. Default false.
   */
  extend?: boolean | undefined;
}

export interface AnonymousOptions extends CommonOptions {
  /** `'none'` reserves addresses only. Default `'write'`. */
  access?: AnonymousAccess | undefined;
}

/** A mapping that was asked for, checked. */
export interface Request {
  readonly target: string | number | undefined;
  readonly path: string | null;
  readonly access: MappingAccess;
  readonly offset: number;
  /** -1: to the end. */
  readonly length: number;
  /** 0: none. */
  readonly capacity: number;
  readonly flags: number;
  readonly hugeShift: number;
  readonly address: bigint;
  readonly shared: boolean;
  readonly advice: Advice | undefined;
}

const fileAccessNames = ['read', 'write', 'copy'] as const;
const anonymousAccessNames = ['none', 'read', 'write'] as const;
const hugePagesNames = ['transparent', '2MiB', '1GiB'] as const;
const hugeShifts = { transparent: 0, '2MiB': 21, '1GiB': 30 } as const;

/** Where a file is: by its path or by a descriptor. */
export function readTarget(file: unknown): { target: string | number; path: string | null } {
  if (typeof file === 'string') {
    if (file.includes('\0')) throw invalidArgument('file', 'a path without null bytes', file);
    return { target: file, path: file };
  }
  if (typeof file === 'number') {
    integer('file', file, 0, 2 ** 31 - 1);
    return { target: file, path: null };
  }
  if (isUrl(file)) {
    const path = fileURLToPath(file);
    return { target: path, path };
  }
  if (typeof file === 'object' && file !== null && 'fd' in file) {
    const fd = file.fd;
    if (typeof fd === 'number') {
      integer('file.fd', fd, -1, 2 ** 31 - 1);
      // A FileHandle that was closed has -1; the system answers EBADF to any that is not open.
      return { target: fd < 0 ? 2 ** 31 - 1 : fd, path: null };
    }
  }
  throw invalidArgument('file', 'a path, a URL, a file descriptor, or a FileHandle', file);
}

const none: object = {};

/** The options that every mapping has, each read once and checked; the access is the caller's. */
function readCommon(options: CommonOptions) {
  const { capacity, shared = false, populate = false, locked = false } = options;
  const { noReserve = false, advice, hugePages = false, address } = options;
  if (capacity !== undefined) integer('options.capacity', capacity);
  boolean('options.shared', shared);
  boolean('options.populate', populate);
  boolean('options.locked', locked);
  boolean('options.noReserve', noReserve);
  if (advice !== undefined) oneOf('options.advice', advice, adviceNames);
  if (hugePages !== false) oneOf('options.hugePages', hugePages, hugePagesNames);
  if (address !== undefined) checkAddress(address);
  const flags =
    (populate ? Flag.populate : 0) |
    (locked ? Flag.locked : 0) |
    (noReserve ? Flag.noReserve : 0) |
    (hugePages === 'transparent' ? Flag.hugeTransparent : 0);
  const hugeShift = hugePages ? hugeShifts[hugePages] : 0;
  return { capacity, shared, advice, address: address ?? 0n, flags, hugeShift };
}

function checkAddress(address: unknown): void {
  if (typeof address !== 'bigint') {
    throw invalidArgument('options.address', 'of type bigint', address);
  }
  const page = BigInt(native.pageBytes);
  if (address <= 0n || address >= 1n << 64n || address % page !== 0n) {
    throw outOfRange('options.address', `a positive multiple of the page, ${page}n`, address);
  }
}

function checkCapacity(capacity: number | undefined, length: number | undefined): void {
  if (capacity === undefined || length === undefined || capacity >= length) return;
  throw outOfRange('options.capacity', `>= the length, ${length}`, capacity);
}

/** `create` and `extend` change the file, which only writers may. */
function fileFlag(name: 'create' | 'extend', value: boolean, access: FileAccess): number {
  boolean(`options.${name}`, value);
  if (value && access !== 'write') {
    throw invalidArgument(`options.${name}`, "false unless the access is 'write'", value);
  }
  return value ? Flag[name] : 0;
}

function checkSharedOffset(offset: number): void {
  const page = native.pageBytes;
  if (isAligned(offset, page)) return;
  const hint = `use offset ${nearest(offset, page)} and an offset in your views`;
  throw outOfRange('options.offset', `a multiple of the page, ${page}, with shared`, offset, hint);
}

export function readMapOptions(file: FileLike, options: MapOptions = none): Request {
  const { target, path } = readTarget(file);
  object('options', options);
  const { access = 'read', offset = 0, length, create = false, extend = false } = options;
  const { capacity, shared, advice, address, flags, hugeShift } = readCommon(options);
  oneOf('options.access', access, fileAccessNames);
  integer('options.offset', offset);
  const longest = Number.MAX_SAFE_INTEGER - offset;
  if (length !== undefined) integer('options.length', length, 0, longest);
  if (capacity !== undefined) integer('options.capacity', capacity, 0, longest);
  checkCapacity(capacity, length);
  const changes = fileFlag('create', create, access) | fileFlag('extend', extend, access);
  if (shared) checkSharedOffset(offset);
  return {
    target,
    path,
    access,
    offset: offset + 0, // -0 becomes 0
    length: length ?? -1,
    capacity: capacity ?? 0,
    flags: flags | changes,
    hugeShift,
    address,
    shared,
    advice,
  };
}

export function readAnonymousOptions(
  byteLength: number,
  options: AnonymousOptions = none,
): Request {
  integer('byteLength', byteLength);
  object('options', options);
  const { access = 'write' } = options;
  const { capacity, shared, advice, address, flags, hugeShift } = readCommon(options);
  oneOf('options.access', access, anonymousAccessNames);
  checkCapacity(capacity, byteLength);
  return {
    target: undefined,
    path: null,
    access,
    offset: 0,
    length: byteLength,
    capacity: capacity ?? 0,
    flags: flags | (shared ? Flag.sharedObject : 0),
    hugeShift,
    address,
    shared,
    advice,
  };
}

/** The number that the engine knows an access by. */
export function accessNumber(access: MappingAccess): number {
  return Access[access];
}
