/**
 * Memory that processes share: named objects, and nameless ones whose descriptor is passed on.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { getSystemErrorMap } from 'node:util';
import { invalidArgument, MemmapError } from '../core/errors.ts';
import { boolean, integer, object, oneOf } from '../core/validate.ts';
import { anonymous, map } from '../mapping/map.ts';
import { type Mapping, makeMapping } from '../mapping/mapping.ts';
import { type AnonymousOptions, type MapOptions, readMapOptions } from '../mapping/options.ts';
import { requested } from '../mapping/origin.ts';
import { directory, pathOf } from './name.ts';

export interface CreateOptions {
  /** Permissions, less the umask. Default 0o600. */
  mode?: number | undefined;
  /** Refuse a name that exists (EEXIST); otherwise it is opened, and grown if it is shorter. Default true. */
  exclusive?: boolean | undefined;
  /** Address space to keep for {@link Mapping.resize}, in bytes. Default none. */
  capacity?: number | undefined;
}

export interface OpenOptions {
  /** Default `'read'`. */
  access?: 'read' | 'write' | undefined;
  /** As of {@link CreateOptions}. */
  capacity?: number | undefined;
}

/** A shared memory object that exists. */
export interface SharedMemoryEntry {
  /** `'/name'` */
  readonly name: string;
  readonly byteLength: number;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  /** When it was last written by a system call, in milliseconds since 1970. */
  readonly modifiedMs: number;
  /** Processes that have it open or mapped; `null` when some process could not be looked into. */
  readonly holders: readonly number[] | null;
}

function failure(error: unknown, action: string, path: string): unknown {
  const { code, errno, syscall } = error as NodeJS.ErrnoException;
  if (code === undefined || errno === undefined) return error;
  const hints: Record<string, string> = {
    EEXIST: 'another process has made it: open() it, unlink() it, or pass exclusive: false',
    ENOENT: 'nobody has created it, or it was unlinked; names are like files of /dev/shm',
    EACCES: 'its mode does not allow this user; pass a mode to create()',
    ELOOP: 'a symbolic link is in its place, which is not followed',
  };
  const state = getSystemErrorMap().get(errno)?.[1] ?? code;
  return new MemmapError(code, `Cannot ${action}: ${state} (${code}, ${syscall})`, {
    errno,
    syscall,
    path,
    hint: hints[code],
  });
}

function openObject(path: string, action: string, flags: number, mode?: number): number {
  try {
    // Anybody may put a FIFO there, which would be waited for.
    return openSync(path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK, mode);
  } catch (error) {
    throw failure(error, action, path);
  }
}

interface Opened {
  readonly fd: number;
  readonly isNew: boolean;
}

function codeIs(error: unknown, code: string): boolean {
  return (error as MemmapError).code === code;
}

/** More than any name is made and unlinked between two calls. */
const mostRaces = 1000;

/** Makes the object, or opens the one that is there; others may make and unlink it meanwhile. */
function makeOrOpen(path: string, action: string, mode: number): Opened {
  for (let races = 0; ; races++) {
    try {
      return { fd: makeObject(path, action, mode), isNew: true };
    } catch (error) {
      if (!codeIs(error, 'EEXIST')) throw error;
    }
    try {
      return { fd: openObject(path, action, constants.O_RDWR), isNew: false };
    } catch (error) {
      if (!codeIs(error, 'ENOENT') || races === mostRaces) throw error;
    }
  }
}

function makeObject(path: string, action: string, mode: number): number {
  return openObject(path, action, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, mode);
}

/** Takes the name away, if it is still that of our object; the error that led here is the one to tell. */
function takeBack(path: string, fd: number): void {
  try {
    if (lstatSync(path).ino === fstatSync(fd).ino) unlinkSync(path);
  } catch {
    // It is gone already.
  }
}

/** Maps the object behind `fd`, which messages and faults call by its path. */
function mapObject(path: string, fd: number, options: MapOptions): Mapping {
  return makeMapping(requested({ ...readMapOptions(fd, { ...options, shared: true }), path }));
}

function create(name: string, byteLength: number, options: CreateOptions = {}): Mapping {
  const path = pathOf(name);
  integer('byteLength', byteLength);
  object('options', options);
  const { mode = 0o600, exclusive = true, capacity } = options;
  integer('options.mode', mode, 0, 0o7777);
  boolean('options.exclusive', exclusive);
  const action = `create shared memory ${name}`;
  const { fd, isNew } = exclusive
    ? { fd: makeObject(path, action, mode), isNew: true }
    : makeOrOpen(path, action, mode);
  try {
    return mapObject(path, fd, { access: 'write', extend: true, length: byteLength, capacity });
  } catch (error) {
    if (isNew) takeBack(path, fd);
    throw error;
  } finally {
    closeSync(fd);
  }
}

function open(name: string, options: OpenOptions = {}): Mapping {
  const path = pathOf(name);
  object('options', options);
  const { access = 'read', capacity } = options;
  oneOf('options.access', access, ['read', 'write']);
  const flags = access === 'write' ? constants.O_RDWR : constants.O_RDONLY;
  const fd = openObject(path, `open shared memory ${name}`, flags);
  try {
    return mapObject(path, fd, { access, capacity });
  } finally {
    closeSync(fd);
  }
}

function unlink(name: string): void {
  const path = pathOf(name);
  try {
    unlinkSync(path);
  } catch (error) {
    throw failure(error, `unlink shared memory ${name}`, path);
  }
}

function anonymousMemory(
  byteLength: number,
  options: Omit<AnonymousOptions, 'shared'> = {},
): Mapping {
  object('options', options);
  return anonymous(byteLength, { ...options, shared: true });
}

function adopt(fd: number, options: OpenOptions = {}): Mapping {
  if (typeof fd !== 'number') throw invalidArgument('fd', 'of type number', fd);
  object('options', options);
  const { access = 'write', capacity } = options;
  oneOf('options.access', access, ['read', 'write']);
  return map(fd, { access, shared: true, capacity });
}

/** In maps: device, inode, and a path of the directory. */
const mappedObject = new RegExp(`^\\S+ \\S+ \\S+ \\S+ (\\d+) +${directory}/`);

/** Inodes of the objects that a process has open or mapped; `undefined`: it may not be looked into. */
function heldBy(pid: string): Set<number> | undefined {
  const held = new Set<number>();
  try {
    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
      const inode = objectInode(`/proc/${pid}/fd/${fd}`);
      if (inode !== undefined) held.add(inode);
    }
    for (const line of readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n')) {
      const inode = mappedObject.exec(line)?.[1];
      if (inode !== undefined) held.add(Number(inode));
    }
    return held;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // It has ended meanwhile: then it holds nothing.
    return code === 'ENOENT' || code === 'ESRCH' ? held : undefined;
  }
}

/** Of a link to an object, whose name may be of any bytes. */
function objectInode(link: string): number | undefined {
  try {
    return readlinkSync(link, 'latin1').startsWith(`${directory}/`)
      ? statSync(link).ino
      : undefined;
  } catch {
    return undefined; // closed meanwhile
  }
}

function list(): SharedMemoryEntry[] {
  const processes = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry));
  const held = processes.map((pid) => ({ pid: Number(pid), inodes: heldBy(pid) }));
  const isComplete = held.every(({ inodes }) => inodes !== undefined);
  const entries: SharedMemoryEntry[] = [];
  for (const file of readdirSync(directory, { encoding: 'buffer' })) {
    const path = Buffer.concat([Buffer.from(`${directory}/`), file]);
    let stat: ReturnType<typeof lstatSync>;
    try {
      stat = lstatSync(path);
    } catch {
      continue; // unlinked meanwhile
    }
    if (!stat.isFile()) continue;
    const pids = held.filter(({ inodes }) => inodes?.has(stat.ino)).map(({ pid }) => pid);
    entries.push({
      name: `/${file}`,
      byteLength: stat.size,
      mode: stat.mode & 0o7777,
      uid: stat.uid,
      modifiedMs: stat.mtimeMs,
      holders: isComplete || pids.length > 0 ? pids : null,
    });
  }
  return entries;
}

/**
 * Memory shared between processes. All of these give a {@link Mapping} with `shared: true`.
 *
 * ```ts
 * using counters = SharedMemory.create('/counters', 4096);
 * Atomics.add(counters.view(Int32Array), 0, 1);
 * SharedMemory.unlink('/counters');
 * ```
 */
export const SharedMemory = {
  /**
   * Makes a named object and maps it for writing. It lives until it is unlinked, also when nobody
   * has it open. Its memory is allocated now, so that a full /dev/shm is ENOSPC here.
   * @param name A slash and a name, as of shm_open(3).
   */
  create,
  /** Maps an object that another process has made, as long as it is now. */
  open,
  /** Takes the name away; who has it mapped keeps it. */
  unlink,
  /**
   * Memory without a name (memfd), sealed against shrinking, for writing. Its `fd` goes to a child
   * through `stdio`, which calls {@link SharedMemory.adopt}; other processes of the same user open
   * `/proc/PID/fd/FD`.
   */
  anonymous: anonymousMemory,
  /** Maps the object behind a descriptor that was inherited or received; it stays the caller's. */
  adopt,
  /**
   * The objects that exist, with the processes that hold them. What its makers have left behind
   * when they died has no holders, and can be unlinked.
   */
  list,
} as const;
