/**
 * /proc/PID/maps: the mappings of a process (fs/proc/task_mmu.c, show_map_vma).
 *
 *   7f5fc4a00000-7f5fc4c00000 rw-s 00001000 fe:00 260131                     /path with spaces
 *   start        end          perm offset   dev   inode                      name
 */
import { linesOf, unescapeOctal } from './fields.ts';

/** What a mapping is, by its name and rights. */
export type MapKind =
  | 'file'
  | 'deleted file'
  | 'anonymous'
  | 'shared anonymous'
  | 'heap'
  | 'stack'
  | 'memfd'
  | 'shared memory'
  | 'hugetlb'
  | 'secret'
  | 'device'
  | 'kernel'
  | 'reserve'
  | 'other';

/** A mapping of a process. */
export interface MapEntry {
  /** Its first address. */
  readonly start: bigint;
  /** The address behind its last. */
  readonly end: bigint;
  /** Bytes. */
  readonly length: number;
  /** As the kernel writes it: `'rw-p'`; the last letter is `p` private (copy on write), `s` shared. */
  readonly permissions: string;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly executable: boolean;
  /** MAP_SHARED; whether another process maps it too is another question. */
  readonly shared: boolean;
  /** The byte of the file that is at `start`. */
  readonly offset: bigint;
  readonly device: { readonly major: number; readonly minor: number };
  /** 0n: there is no file. */
  readonly inode: bigint;
  /** As the kernel names it, without ` (deleted)` and its escapes; `null`: it has no name. */
  readonly name: string | null;
  /** The kernel says that the name is gone. For memory objects that is so from the beginning. */
  readonly deleted: boolean;
  readonly kind: MapKind;
}

const header =
  /^([0-9a-f]+)-([0-9a-f]+) ([r-][w-][x-][ps]) ([0-9a-f]+) ([0-9a-f]+):([0-9a-f]+) (\d+)(?: +([^\n]*))?$/;
const deletedSuffix = ' (deleted)';

/** Names that say what they are; the first that fits counts. Old kernels name a thread's stack. */
const namedKinds: readonly [RegExp, MapKind][] = [
  [/^\[heap\]$/, 'heap'],
  [/^\[(stack(:\d+)?|shadow stack)\]$/, 'stack'],
  [/^\[(vdso|vdso32|vsyscall|vvar\w*|vectors|sigpage|uprobes|mte_\w+|timens)\]$/, 'kernel'],
  [/^\[anon_shmem:/, 'shared anonymous'],
  [/^\[anon:/, 'anonymous'],
  [/^\/anon_hugepage$/, 'hugetlb'],
  [/^\/secretmem$/, 'secret'],
  [/^\/memfd:/, 'memfd'],
  [/^\/SYSV[0-9a-f]{8}$/, 'shared memory'],
  [/^\/dev\/(shm|ashmem)\//, 'shared memory'],
  [/^(anon_inode|socket|dmabuf|pipe):/, 'other'],
  [/^\/\[?(aio|io_uring)/, 'other'],
  [/^\/dev\/zero$/, 'anonymous'],
  [/^\/dev\//, 'device'],
];

function kindOf(name: string | null, deleted: boolean, permissions: string): MapKind {
  if (name === null) return permissions === '---p' ? 'reserve' : 'anonymous';
  // Shared anonymous memory is a file on the kernel's own tmpfs, named as if it were this device.
  if (name === '/dev/zero' && deleted) return 'shared anonymous';
  const named = namedKinds.find(([pattern]) => pattern.test(name))?.[1];
  if (named) return named;
  if (!name.startsWith('/')) return 'other';
  return deleted ? 'deleted file' : 'file';
}

/** Reads one line; `null` where it is none. */
export function parseMapLine(line: string): MapEntry | null {
  const match = header.exec(line);
  if (!match) return null;
  const [, from, to, permissions, offset, major, minor, inode, rest] = match as unknown as string[];
  const deleted = rest?.endsWith(deletedSuffix) ?? false;
  // Only a newline is escaped here, so that a name with a backslash stays as it is.
  const label = rest && (deleted ? rest.slice(0, -deletedSuffix.length) : rest);
  const name = label ? unescapeOctal(label, '\n') : null;
  const start = BigInt(`0x${from}`);
  const end = BigInt(`0x${to}`);
  return {
    start,
    end,
    length: Number(end - start),
    permissions: permissions as string,
    readable: permissions?.[0] === 'r',
    writable: permissions?.[1] === 'w',
    executable: permissions?.[2] === 'x',
    shared: permissions?.[3] === 's',
    offset: BigInt(`0x${offset}`),
    device: {
      major: Number.parseInt(major as string, 16),
      minor: Number.parseInt(minor as string, 16),
    },
    inode: BigInt(inode as string),
    name,
    deleted,
    kind: kindOf(name, deleted, permissions as string),
  };
}

/** Reads the whole text; lines that are none are passed over. */
export function parseMaps(text: string): MapEntry[] {
  return linesOf(text).flatMap((line) => parseMapLine(line) ?? []);
}
