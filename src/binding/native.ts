/**
 * The addon's functions as TypeScript sees them. The names and numbers mirror
 * native/include/memmap.h and native/binding/binding.h; arguments were checked by the caller.
 */
import { load } from './load.ts';

/** `enum memmap_access` */
export const Access = { none: 0, read: 1, write: 2, copy: 3 } as const;
/** `enum memmap_flags` */
export const Flag = {
  create: 1,
  extend: 2,
  noReserve: 4,
  populate: 8,
  locked: 16,
  hugeTransparent: 32,
  sharedObject: 64,
  private: 128,
} as const;
/** `enum memmap_refusal` */
export const Refusal = {
  offsetBehindEnd: 1,
  lengthBehindEnd: 2,
  lengthNeeded: 3,
  notMappable: 4,
  notHuge: 5,
  notResizable: 6,
  overCapacity: 7,
} as const;
/** `enum memmap_object_kind` */
export const objectKinds = [
  'anonymous memory',
  'file',
  'character device',
  'block device',
  'directory',
  'pipe',
  'socket',
  'special file',
] as const;
/** `enum memmap_advice` */
export const advices = [
  'normal',
  'random',
  'sequential',
  'willneed',
  'hugepage',
  'nohugepage',
  'cold',
  'pageout',
  'dontfork',
  'dofork',
  'dontdump',
  'dodump',
  'mergeable',
  'unmergeable',
  'dontneed',
  'free',
  'remove',
] as const;
/** `enum memmap_sync` */
export const Sync = { sync: 0, async: 1, nothing: 2 } as const;
/** `enum memmap_work_kind` */
export const Work = { flush: 0, prefetch: 1, evict: 2 } as const;
/** `enum memmap_scan_kind` */
export const Scan = {
  first: 0,
  last: 1,
  count: 2,
  lines: 3,
  collect: 4,
  nth: 5,
  blocks: 6,
} as const;
/** `enum memmap_scan_fault` */
export const ScanFault = { sound: 0, faulted: 1, cut: 2 } as const;
/** What a scan answers: these, then its numbers. */
export const ScanAnswer = { fault: 0, value: 1, objectBytes: 2, numbers: 3 } as const;
/** `enum memmap_fault_kind`; the last says that there was none. */
export const faultCodes = [
  'ERR_MEMMAP_TRUNCATED',
  'ERR_MEMMAP_READ_ONLY',
  'ERR_MEMMAP_NO_ACCESS',
  'ERR_MEMMAP_IO',
  'ERR_MEMMAP_CLOSED',
] as const;
/** `enum memmap_page_category` */
export const PageCategory = {
  watched: 1 << 0,
  written: 1 << 1,
  file: 1 << 2,
  present: 1 << 3,
  swapped: 1 << 4,
  zero: 1 << 5,
  huge: 1 << 6,
  softDirty: 1 << 7,
  guard: 1 << 8,
} as const;
/** `enum memmap_written_mode` */
export const Written = { copies: 0, watched: 1, reset: 2 } as const;
/** `enum fact` */
export const Fact = {
  length: 0,
  capacity: 1,
  page: 2,
  objectBytes: 3,
  objectKind: 4,
  fd: 5,
  kind: 6,
  end: 7,
  address: 8,
  access: 9,
  offset: 10,
} as const;

/** kind, count, order, address, offset in the object, thread, access, the signal's si_code */
export type FaultRecord = [number, number, number, bigint, number, number, number, number];
/** A piece of work in flight. */
export type Task = object & { readonly __task: never };
/** The error of a refused system call. */
export type NativeFailure = Error & { errno: number; syscall: string };
/** mapping, kind, offset, length, pattern, overlapping, threads, most numbers, bytes of a block */
export type ScanArguments = [
  object,
  number,
  number,
  number,
  Uint8Array | undefined,
  boolean,
  number,
  number,
  number,
];

/**
 * `memmap_maps`: an array of `struct memmap_maps_entry`, a row of doubles for each, what their
 * columns are called, and the texts that entries and (as -1 - text) values have numbers of.
 */
export type NativeMaps = [
  entries: ArrayBuffer,
  values: ArrayBuffer,
  fields: string[],
  texts: string[],
];

export interface Native {
  /** Answers of the last call; see {@link Fact}. */
  readonly facts: Float64Array;
  readonly pageBytes: number;
  /** Whether the runtime makes SharedArrayBuffers over memory that is not its own. */
  readonly hasSharedBuffers: boolean;
  map(
    mapping: object,
    target: string | number | undefined,
    access: number,
    offset: number,
    length: number,
    capacity: number,
    flags: number,
    hugeShift: number,
    address: bigint,
    advice: number,
  ): number;
  resize(mapping: object, length: number): number;
  close(mapping: object): void;
  share(mapping: object): number;
  attach(
    mapping: object,
    number: number,
    view: Uint8Array,
    pin: SharedArrayBuffer | undefined,
  ): boolean;
  refresh(mapping: object): void;
  objectBytes(mapping: object): number;
  /** `struct memmap_identity`: inode, size in bytes, times of modification and change in ns */
  identify(mapping: object, answer: BigInt64Array): void;
  buffer(mapping: object, offset: number, length: number): Buffer<ArrayBuffer>;
  sharedBuffer(mapping: object, length: number): SharedArrayBuffer | undefined;
  moveOnto(mapping: object, view: Uint8Array, pin: object, getBuffer?: () => unknown): number;
  hold(mapping: object, buffer: SharedArrayBuffer): void;
  read(mapping: object, offset: number, target: Uint8Array): number;
  write(mapping: object, offset: number, source: Uint8Array): number;
  flush(mapping: object, offset: number, length: number, mode: number, invalidate: boolean): void;
  advise(mapping: object, offset: number, length: number, advice: number): void;
  residency(mapping: object, offset: number, length: number, pages: Uint8Array): number;
  lock(mapping: object, offset: number, length: number, onFault: boolean): void;
  unlock(mapping: object, offset: number, length: number): void;
  lockAll(current: boolean, future: boolean, onFault: boolean): void;
  unlockAll(): void;
  /** Mappings that the process has, may have (0: unknown), and that this library may still make. */
  room(): [mappings: number, most: number, left: number];
  protect(mapping: object, offset: number, length: number, protection: number): void;
  protection(mapping: object, offset: number): number;
  start(
    mapping: object,
    kind: number,
    offset: number,
    length: number,
    invalidate: boolean,
    hasProgress: boolean,
    callback: (error: NativeFailure | undefined, doneBytes: number, isDone: boolean) => void,
  ): Task;
  cancel(task: Task): void;
  /** See {@link ScanAnswer}. */
  scan(...request: ScanArguments): Float64Array;
  scanStart(
    ...request: [
      ...ScanArguments,
      boolean,
      (
        error: NativeFailure | undefined,
        doneBytes: number,
        isDone: boolean,
        answer: Float64Array,
      ) => void,
    ]
  ): Task;
  watch(callback: () => void): void;
  guard(mapping: object, isBegin: boolean): void;
  hasFaults(mapping: object): boolean;
  collect(mapping: object): FaultRecord[];
  faulted(isAll: boolean): object[];
  orphans(): [path: string | null, records: FaultRecord[]][];
  adopt(): void;
  handlersLost(): boolean;
  /** cached, dirty, writeback, evicted, recently evicted: pages */
  cacheState(fd: number, offset: number, length: number, answer: Float64Array): number;
  dropCache(fd: number, offset: number, length: number): number;
  /** `struct memmap_page_scan` and an array of `struct memmap_page_run`; returns how many */
  scanPages(fd: number, scan: BigUint64Array, runs: BigUint64Array): number;
  pageOut(process: number, address: bigint, length: number): number;
  watchWrites(mapping: object): number;
  written(
    mapping: object,
    offset: number,
    length: number,
    mode: number,
    runs: BigUint64Array,
  ): number;
  parseMaps(text: Uint8Array): NativeMaps;
  readMaps(path: string): NativeMaps;
  /** The same on a thread of the runtime's. */
  readMapsLater(path: string): Promise<NativeMaps>;
}

export const native: Native = load() as Native;
