/**
 * What the system refused, said so that it can be cured: an error of the library for each errno
 * of each system call, with the limit that was met and the way out.
 */
import { readFileSync } from 'node:fs';
import { getSystemErrorName, types } from 'node:util';
import { Fact, type NativeFailure, native, objectKinds, Refusal } from '../binding/native.ts';
import { closed, type ErrorDetails, MemmapError, outOfRange, unsupported } from '../core/errors.ts';
import type { Request } from './options.ts';
import type { Origin } from './origin.ts';

/** What the refused thing was, for the message and for the choice of the hint. */
export interface Context {
  /** `map /x for writing`, `lock 4096 bytes` */
  action: string;
  path?: string | null | undefined;
  access?: string | undefined;
  hugePages?: boolean | undefined;
  /** The file has become shorter than the range. */
  isCut?: boolean | undefined;
}

const states: Record<string, string> = {
  EACCES: 'permission denied',
  EAGAIN: 'too much memory is locked, or a resource is used up',
  EBADF: 'the file descriptor is not open',
  EBUSY: 'the range is in use',
  EEXIST: 'something is mapped there already',
  EFAULT: 'there is no memory behind a part of the range',
  EFBIG: 'the file would become larger than the system allows',
  EINVAL: 'the system does not accept the arguments',
  EIO: 'the device failed',
  EISDIR: 'it is a directory',
  EMFILE: 'too many open files in this process',
  ENFILE: 'too many open files in the system',
  ENODEV: 'it cannot be mapped',
  ENOENT: 'there is no such file',
  ENOMEM: 'out of memory, address space or mappings',
  ENOSPC: 'no space left on the device',
  ENXIO: 'there is no device or reader behind it',
  ENOTSUP: 'the file system or device cannot do it',
  EOVERFLOW: 'the number of pages overflows',
  EPERM: 'not permitted',
  EROFS: 'the file system is read-only',
  ETXTBSY: 'the file is being executed',
};

function readNumber(path: string): number | undefined {
  try {
    return Number(readFileSync(path, 'utf8').trim().split(/\s+/)[0]);
  } catch {
    return undefined; // the hint goes without the value
  }
}

/** A row of /proc/self/limits: the soft limit in bytes, or Infinity. */
function processLimit(name: string): number | undefined {
  try {
    const row = readFileSync('/proc/self/limits', 'utf8')
      .split('\n')
      .find((line) => line.startsWith(name));
    const soft = row?.slice(name.length).trim().split(/\s+/)[0];
    return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return undefined;
  }
}

function lockHint(): string {
  const limit = processLimit('Max locked memory');
  return (
    `RLIMIT_MEMLOCK is ${limit ?? 'unknown'} bytes: raise it (ulimit -l, LimitMEMLOCK= in systemd) ` +
    'or grant CAP_IPC_LOCK; or lock less'
  );
}

/** A few: others may have closed some since it was refused. */
const nearlyNone = 16;

/** Where mappings have run out. */
function mappingsHint(): string | undefined {
  const [mappings, maximum, left] = native.room();
  if (left >= nearlyNone) return undefined;
  return (
    `the process has ${mappings} mappings and vm.max_map_count is ${maximum}: close some, or ` +
    'raise it; a 64th of them is left to the rest of the process'
  );
}

/** ENOMEM has four causes that can be told apart by looking. */
function memoryHint(context: Context): string {
  if (context.hugePages) {
    const total = readNumber('/proc/sys/vm/nr_hugepages');
    return (
      `huge pages come from a reserved pool; vm.nr_hugepages is ${total ?? 'unknown'}: ` +
      "reserve some (sysctl vm.nr_hugepages=N), or use hugePages: 'transparent'"
    );
  }
  const usedUp = mappingsHint();
  if (usedUp) return usedUp;
  const space = processLimit('Max address space');
  if (space !== undefined && Number.isFinite(space)) {
    return `RLIMIT_AS allows ${space} bytes of address space: raise it (ulimit -v), or map less`;
  }
  const mode = readNumber('/proc/sys/vm/overcommit_memory');
  return (
    `vm.overcommit_memory is ${mode ?? 'unknown'}: the system does not promise this much memory; ` +
    'map less, or use noReserve for what will stay sparse'
  );
}

function cure(code: string, syscall: string, context: Context): string | undefined {
  const { access } = context;
  switch (code) {
    case 'EACCES':
      if (syscall === 'open') {
        return access === 'write'
          ? "the file may not be opened for writing: change its mode, or use access 'read' or 'copy'"
          : 'the file may not be opened for reading: change its mode or the user';
      }
      if (syscall === 'mprotect') return "map with access 'write' to be able to store";
      return access === 'write'
        ? "open the descriptor for reading and writing ('r+'), or use access 'read' or 'copy'"
        : "open the descriptor for reading ('r'): a mapping needs it whatever its access is";
    case 'EAGAIN':
      return syscall === 'pthread_create'
        ? 'raise RLIMIT_NPROC (ulimit -u)'
        : (mappingsHint() ?? lockHint());
    case 'EBADF':
      return 'the descriptor was closed, or belongs to another process; map() keeps one of its own';
    case 'EBUSY':
      if (syscall === 'mremap') {
        return 'work on the mapping is in flight: await it, or map with a capacity';
      }
      return 'a locked range cannot be invalidated: unlock() it first';
    case 'EEXIST':
      return 'choose an address that is free (see /proc/self/maps), or leave the choice to the system';
    case 'EFAULT':
      return 'the file has become shorter than its mapping: resize() to its size';
    case 'EINVAL':
      if (syscall === 'madvise') {
        return 'this kind of memory, or this kernel, does not take this advice; locked pages are not discarded';
      }
      if (context.hugePages) return 'offset and length must be multiples of the huge page';
      return undefined;
    case 'EMFILE':
      return 'each mapping of a file keeps a descriptor: close some, or raise RLIMIT_NOFILE (ulimit -n)';
    case 'ENODEV':
      return 'pipes, sockets, directories and most files of /proc and /sys have no pages: read() them';
    case 'ENOENT':
      if (context.hugePages) return 'this machine has no huge pages of this size';
      return access === 'write'
        ? 'pass create: true to make it; its directory must exist'
        : undefined;
    case 'ENOMEM':
      if (context.isCut)
        return 'the file has become shorter than its mapping: resize() to its size';
      return syscall === 'mlock' ? (mappingsHint() ?? lockHint()) : memoryHint(context);
    case 'ENOSPC':
      return 'the file is as it was; free space on its file system, or ask for less';
    case 'EPERM':
      if (syscall === 'mlock') return lockHint();
      if (syscall === 'ftruncate') return 'the file is sealed or append-only';
      return 'the file is sealed, or a capability is missing';
    case 'ENOTSUP':
      return 'another file system may: ext4, xfs, btrfs and tmpfs do';
    case 'EROFS':
      return "use access 'read' or 'copy'";
    case 'ETXTBSY':
      return 'the file is a program that runs: copy it, or stop the program';
    default:
      return undefined;
  }
}

function isFailure(error: unknown): error is NativeFailure {
  return types.isNativeError(error) && 'errno' in error && 'syscall' in error;
}

/** Makes the library's error of one the engine threw; others pass. */
function isClosed(error: unknown): boolean {
  return types.isNativeError(error) && (error as { code?: unknown }).code === 'ERR_MEMMAP_CLOSED';
}

export function refused(error: unknown, context: Context): unknown {
  // Closed by code of the user's that ran after the mapping was looked at.
  if (isClosed(error)) return closed(context.action, context.path ?? null);
  if (!isFailure(error)) return error;
  const code = getSystemErrorName(error.errno);
  const state = states[code] ?? code;
  const details: ErrorDetails = {
    errno: error.errno,
    syscall: error.syscall,
    path: context.path ?? undefined,
    hint: cure(code, error.syscall, context),
  };
  return new MemmapError(
    code,
    `Cannot ${context.action}: ${state} (${code}, ${error.syscall})`,
    details,
  );
}

/** Calls into the engine and says what was refused in terms of the library. */
export function attempt<T>(work: () => T, context: () => Context): T {
  try {
    return work();
  } catch (error) {
    throw refused(error, context());
  }
}

export function describeTarget(request: Request): string {
  if (request.path !== null) return request.path;
  return request.target === undefined ? 'anonymous memory' : `descriptor ${request.target}`;
}

/** The error for a request that the engine did not take although no system call failed. */
export function refusedRequest(refusal: number, request: Request): Error {
  const size = native.facts[Fact.objectBytes] as number;
  const kind = objectKinds[native.facts[Fact.objectKind] as number] ?? 'special file';
  const what = describeTarget(request);
  switch (refusal) {
    case Refusal.offsetBehindEnd:
      return outOfRange('options.offset', `<= the size of ${what}, ${size}`, request.offset);
    case Refusal.lengthBehindEnd:
      return outOfRange(
        'options.length',
        `<= ${size - request.offset}, the bytes of ${what} from offset ${request.offset}`,
        request.length,
        "pass extend: true with access 'write' to grow the file",
      );
    case Refusal.lengthNeeded:
      return outOfRange(
        'options.length',
        `given for a ${kind}, which has no size`,
        'none',
        'pass the length that its driver maps',
      );
    case Refusal.notHuge:
      return new MemmapError('EINVAL', `Cannot map ${what} with huge pages: it has none`, {
        errno: -22,
        syscall: 'mmap',
        path: request.path ?? undefined,
        hint:
          'only files of a hugetlbfs mounted with this page size have huge pages ' +
          "(mount -t hugetlbfs -o pagesize=2M none DIR); for others use hugePages: 'transparent'",
      });
    case Refusal.overCapacity:
      return outOfRange('options.capacity', `>= the ${size} bytes of ${what}`, request.capacity);
    default:
      return new MemmapError('ENODEV', `Cannot map ${what}: it is a ${kind} (ENODEV, mmap)`, {
        errno: -19,
        syscall: 'mmap',
        path: request.path ?? undefined,
        hint: cure('ENODEV', 'mmap', { action: 'map' }),
      });
  }
}

/** The error for a new length that the engine did not take. */
export function refusedResize(
  refusal: number,
  byteLength: number,
  capacity: number,
  { name, path, access, host }: Origin,
): Error {
  if (refusal === Refusal.overCapacity) {
    return outOfRange('byteLength', `<= the capacity, ${capacity}`, byteLength);
  }
  if (refusal === Refusal.lengthBehindEnd) {
    const size = native.facts[Fact.objectBytes] as number;
    const hint = "map with access 'write' to grow the file, or wait until its writer has grown it";
    return outOfRange('byteLength', `within the file, which has ${size} bytes`, byteLength, hint);
  }
  const isFixed = host !== undefined || access === 'copy';
  return unsupported(
    `resize ${name}`,
    access === 'copy'
      ? "a 'copy' mapping has no file to grow"
      : host
        ? 'it lies in a WebAssembly.Memory'
        : 'it is a device, of reserved huge pages, or shared without a capacity',
    {
      path: path ?? undefined,
      hint: isFixed
        ? 'close it and map the file again with another length'
        : 'map with a capacity: this memory cannot move',
    },
  );
}
