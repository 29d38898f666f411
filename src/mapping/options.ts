/**
 * What can be asked of a mapping, and how it is read: every option once, checked before anything
 * happens, nothing converted.
 */
import { fileURLToPath } from 'node:url';
import { Access, Flag, native } from '../binding/native.ts';
import { invalidArgument, outOfRange } from '../core/errors.ts';
import { isAligned, nearest } from '../core/page.ts';
import { boolean, integer, object, oneOf } from '../core/validate.ts';
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

const hugeShifts = { transparent: 0, '2MiB': 21, '1GiB': 30 } as const;

function readTarget(file: unknown): { target: string | number; path: string | null } {
  if (typeof file === 'string') {
    if (file.includes('\0')) throw invalidArgument('file', 'a path without null bytes', file);
    return { target: file, path: file };
  }
  if (typeof file === 'number') {
    integer('file', file, 0, 2 ** 31 - 1);
    return { target: file, path: null };
  }
  if (file instanceof URL) {
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

/** Takes each named property once. */
function take<T extends object>(options: T | undefined, names: readonly (keyof T & string)[]): T {
  const taken = {} as T;
  if (options === undefined) return taken;
  object('options', options);
  for (const name of names) {
    const value = options[name];
    if (value !== undefined) taken[name] = value;
  }
  return taken;
}

const commonNames = [
  'access',
  'capacity',
  'shared',
  'populate',
  'locked',
  'noReserve',
  'advice',
  'hugePages',
  'address',
] as const;

function readFlags(options: CommonOptions): number {
  let flags = 0;
  for (const name of ['populate', 'locked', 'noReserve'] as const) {
    const value = options[name];
    if (value === undefined) continue;
    boolean(`options.${name}`, value);
    if (value) flags |= Flag[name];
  }
  if (options.hugePages === 'transparent') flags |= Flag.hugeTransparent;
  return flags;
}

function checkCommon(options: CommonOptions): void {
  if (options.shared !== undefined) boolean('options.shared', options.shared);
  if (options.capacity !== undefined) integer('options.capacity', options.capacity);
  if (options.advice !== undefined) oneOf('options.advice', options.advice, adviceNames);
  if (options.hugePages !== undefined && options.hugePages !== false) {
    oneOf('options.hugePages', options.hugePages, ['transparent', '2MiB', '1GiB']);
  }
  const { address } = options;
  if (address === undefined) return;
  if (typeof address !== 'bigint')
    throw invalidArgument('options.address', 'of type bigint', address);
  const page = BigInt(native.pageBytes);
  if (address <= 0n || address >= 1n << 64n || address % page !== 0n) {
    throw outOfRange('options.address', `a positive multiple of the page, ${page}n`, address);
  }
}

function checkLengths(length: number | undefined, capacity: number | undefined): void {
  if (capacity === undefined || length === undefined || capacity >= length) return;
  throw outOfRange('options.capacity', `>= the length, ${length}`, capacity);
}

function complete(
  options: CommonOptions,
  rest: Pick<Request, 'target' | 'path' | 'access' | 'offset' | 'length'> & { flags: number },
): Request {
  const huge = options.hugePages ? hugeShifts[options.hugePages] : 0;
  return {
    ...rest,
    flags: rest.flags | readFlags(options),
    capacity: options.capacity ?? 0,
    hugeShift: huge,
    address: options.address ?? 0n,
    shared: options.shared ?? false,
    advice: options.advice,
  };
}

export function readMapOptions(file: FileLike, given: MapOptions | undefined): Request {
  const { target, path } = readTarget(file);
  const options = take(given, [...commonNames, 'offset', 'length', 'create', 'extend']);
  const access = options.access ?? 'read';
  oneOf('options.access', access, ['read', 'write', 'copy']);
  const offset = options.offset ?? 0;
  integer('options.offset', offset);
  if (options.length !== undefined) {
    integer('options.length', options.length, 0, Number.MAX_SAFE_INTEGER - offset);
  }
  checkCommon(options);
  checkLengths(options.length, options.capacity);
  if (options.capacity !== undefined) {
    integer('options.capacity', options.capacity, 0, Number.MAX_SAFE_INTEGER - offset);
  }
  let flags = 0;
  for (const name of ['create', 'extend'] as const) {
    const value = options[name];
    if (value === undefined) continue;
    boolean(`options.${name}`, value);
    if (!value) continue;
    if (access !== 'write') {
      throw invalidArgument(`options.${name}`, `false unless the access is 'write'`, value);
    }
    flags |= Flag[name];
  }
  if (options.shared && !isAligned(offset, native.pageBytes)) {
    const hint = `use offset ${nearest(offset, native.pageBytes)} and an offset in your views`;
    const expected = `a multiple of the page, ${native.pageBytes}, with shared`;
    throw outOfRange('options.offset', expected, offset, hint);
  }
  return complete(options, { target, path, access, offset, length: options.length ?? -1, flags });
}

export function readAnonymousOptions(
  byteLength: number,
  given: AnonymousOptions | undefined,
): Request {
  integer('byteLength', byteLength);
  const options = take(given, commonNames);
  const access = options.access ?? 'write';
  oneOf('options.access', access, ['none', 'read', 'write']);
  checkCommon(options);
  checkLengths(byteLength, options.capacity);
  const flags = options.shared ? Flag.sharedObject : 0;
  const rest = { target: undefined, path: null, access, offset: 0, length: byteLength, flags };
  return complete(options, rest);
}

/** The number that the engine knows an access by. */
export function accessNumber(access: MappingAccess): number {
  return Access[access];
}
