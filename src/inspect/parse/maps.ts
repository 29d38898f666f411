/**
 * /proc/PID/maps: the mappings of a process (fs/proc/task_mmu.c, show_map_vma).
 *
 *   7f5fc4a00000-7f5fc4c00000 rw-s 00001000 fe:00 260131                     /path with spaces
 *   start        end          perm offset   dev   inode                      name
 */
import { type NativeMaps, native } from '../../binding/native.ts';
import { unescapeOctal } from './fields.ts';

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

function kindOf(name: string | null, deleted: boolean): MapKind {
  if (name === null) return 'anonymous';
  // Shared anonymous memory is a file on the kernel's own tmpfs, named as if it were this device.
  if (name === '/dev/zero' && deleted) return 'shared anonymous';
  const named = namedKinds.find(([pattern]) => pattern.test(name))?.[1];
  if (named) return named;
  if (!name.startsWith('/')) return 'other';
  return deleted ? 'deleted file' : 'file';
}

/** What the text of a name says. */
interface Label {
  readonly name: string | null;
  readonly deleted: boolean;
  readonly kind: MapKind;
}

function labelOf(text: string, isLiving = false): Label {
  const deleted = !isLiving && text.endsWith(deletedSuffix);
  const label = deleted ? text.slice(0, -deletedSuffix.length) : text;
  // Only a newline is escaped here, so that a name with a backslash stays as it is.
  const name = label === '' ? null : unescapeOctal(label, '\n');
  return { name, deleted, kind: kindOf(name, deleted) };
}

/** Mappings, with the numbers of texts whose ` (deleted)` is part of the name of a file. */
export type NamedMaps = [...NativeMaps, living?: ReadonlySet<number>];

/** The layout of `struct memmap_maps_entry`, in words of 64 and of 32 bits. */
const Word = { start: 0, end: 1, offset: 2, inode: 3, count: 6 } as const;
const HalfWord = {
  start: 0,
  end: 2,
  major: 8,
  minor: 9,
  permissions: 10,
  name: 11,
  count: 12,
} as const;

/**
 * The mappings of a text as the engine took it apart, in columns: a process may have a million of
 * them, and objects of them cost more than all else. They are made when they are asked for.
 */
export class MapTable {
  readonly count: number;
  protected readonly texts: readonly string[];
  readonly #words: BigUint64Array;
  readonly #halfWords: Uint32Array;
  /** By number of their text; mappings have few different ones. */
  readonly #labels: (Label | undefined)[];
  readonly #living: ReadonlySet<number> | undefined;

  constructor([entries, , , texts, living]: NamedMaps) {
    this.texts = texts;
    this.#living = living;
    this.#labels = new Array<Label | undefined>(texts.length).fill(undefined);
    this.#words = new BigUint64Array(entries);
    this.#halfWords = new Uint32Array(entries);
    this.count = this.#words.length / Word.count;
  }

  entry(index: number): MapEntry {
    return this.header(index, this.kind(index));
  }

  /** All of them, by address. */
  entries(): MapEntry[] {
    return Array.from({ length: this.count }, (_, index) => this.entry(index));
  }

  /** Where they are. */
  ranges(): { readonly start: bigint; readonly end: bigint }[] {
    return Array.from({ length: this.count }, (_, index) => ({
      start: this.start(index),
      end: this.end(index),
    }));
  }

  start(index: number): bigint {
    return this.#words[index * Word.count + Word.start] as bigint;
  }

  end(index: number): bigint {
    return this.#words[index * Word.count + Word.end] as bigint;
  }

  /** Of the differences of both halves: a BigInt would be made for each. */
  length(index: number): number {
    const low = this.#half(index, HalfWord.end) - this.#half(index, HalfWord.start);
    const high = this.#half(index, HalfWord.end + 1) - this.#half(index, HalfWord.start + 1);
    return high * 2 ** 32 + low;
  }

  permissions(index: number): string {
    return this.texts[this.#half(index, HalfWord.permissions)] as string;
  }

  isShared(index: number): boolean {
    return this.permissions(index)[3] === 's';
  }

  name(index: number): string | null {
    return this.label(index).name;
  }

  isDeleted(index: number): boolean {
    return this.label(index).deleted;
  }

  protected label(index: number): Label {
    const text = this.#half(index, HalfWord.name);
    let label = this.#labels[text];
    if (!label) {
      label = labelOf(this.texts[text] as string, this.#living?.has(text));
      this.#labels[text] = label;
    }
    return label;
  }

  /** By its name and rights. */
  kind(index: number): MapKind {
    const { name, kind } = this.label(index);
    return name === null && this.permissions(index) === '---p' ? 'reserve' : kind;
  }

  protected header(index: number, kind: MapKind): MapEntry {
    const word = index * Word.count;
    const permissions = this.permissions(index);
    return {
      start: this.start(index),
      end: this.end(index),
      length: this.length(index),
      permissions,
      readable: permissions[0] === 'r',
      writable: permissions[1] === 'w',
      executable: permissions[2] === 'x',
      shared: permissions[3] === 's',
      offset: this.#words[word + Word.offset] as bigint,
      device: {
        major: this.#half(index, HalfWord.major),
        minor: this.#half(index, HalfWord.minor),
      },
      inode: this.#words[word + Word.inode] as bigint,
      name: this.name(index),
      deleted: this.isDeleted(index),
      kind,
    };
  }

  #half(index: number, column: number): number {
    return this.#halfWords[index * HalfWord.count + column] as number;
  }
}

/** A name that ends as those of deleted files do. */
export interface DoubtfulName {
  /** The number of its text. */
  readonly text: number;
  /** Of the file, if it is there. */
  readonly path: string;
  /** Of the file that is mapped. */
  readonly inode: bigint;
}

/** Names that may be of deleted files, or of files that are called so; few processes have any. */
export function doubtfulNames(maps: NativeMaps): DoubtfulName[] {
  const [entries, , , texts] = maps;
  const doubtful = new Set<number>();
  for (const [text, name] of texts.entries()) {
    if (!name.endsWith(deletedSuffix)) continue;
    if (['deleted file', 'shared memory'].includes(labelOf(name).kind)) doubtful.add(text);
  }
  if (doubtful.size === 0) return [];
  const [words, halfWords] = [new BigUint64Array(entries), new Uint32Array(entries)];
  const found: DoubtfulName[] = [];
  for (let index = 0; index < words.length / Word.count && doubtful.size > 0; index++) {
    const text = halfWords[index * HalfWord.count + HalfWord.name] as number;
    if (!doubtful.delete(text)) continue;
    const path = unescapeOctal(texts[text] as string, '\n');
    found.push({ text, path, inode: words[index * Word.count + Word.inode] as bigint });
  }
  return found;
}

const encoder = new TextEncoder();

/** Takes a text apart; lines that are no mapping are passed over. */
export function takeApart(text: string): NativeMaps {
  return native.parseMaps(encoder.encode(text));
}

/** Reads one line; `null` where it is none. */
export function parseMapLine(line: string): MapEntry | null {
  return line.includes('\n') ? null : (parseMaps(line)[0] ?? null);
}

/** Reads the whole text; lines that are none are passed over. */
export function parseMaps(text: string): MapEntry[] {
  return new MapTable(takeApart(text)).entries();
}
