/**
 * A mapping: memory that is a file, or memory of its own.
 */
import { constants } from 'node:buffer';
import { EventEmitter } from 'node:events';
import { getSystemErrorName, inspect, types } from 'node:util';
import {
  Access,
  Fact,
  type NativeFailure,
  native,
  Refusal,
  Sync,
  Work,
  Written,
} from '../binding/native.ts';
import { checkElement, checkWholePages, type Paged, pagesAround } from '../core/alignment.ts';
import type { FaultError } from '../core/errors.ts';
import { closed, invalidArgument, MemmapError, outOfRange, unsupported } from '../core/errors.ts';
import { isAligned } from '../core/page.ts';
import { type Range, readRange, type Span, within } from '../core/range.ts';
import { boolean, bytesOf, callback, integer, object, oneOf } from '../core/validate.ts';
import { type Advice, adviceNames, adviceNumber, type Discard, discardNames } from './advice.ts';
import { copyBytes, isReadOnly, readOnly } from './copy.ts';
import { deliverLater, takeFaults, watchFaults } from './fault.ts';
import type { MappingAccess } from './options.ts';
import { attached, type MappingHandle, makeHandle, notShared, type Origin } from './origin.ts';
import { tie } from './owner.ts';
import { raiseProtection } from './protection.ts';
import { attempt, refused, refusedResize } from './refusal.ts';
import { packResidency, type Residency, unknownResidency } from './residency.ts';
import { isGrowable } from './sharing.ts';
import { type Translation, translateAddress } from './translation.ts';
import { readWorkOptions, runWork, type WorkOptions } from './work.ts';
import { collectWritten, isNotWatched } from './written.ts';

/** What `protect` sets: what the pages may do. */
export type Protection = 'none' | 'read' | 'write';

/** The constructor of a typed array: what `view` makes. */
export interface ViewConstructor<T> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T;
}

export interface FlushSyncOptions {
  /** `'sync'`: on the disk when it returns; `'async'`: the kernel is only told. Default `'sync'`. */
  mode?: 'sync' | 'async' | undefined;
  /** Other mappings of the file see what is in it now (MS_INVALIDATE). Default false. */
  invalidate?: boolean | undefined;
}

export interface FlushOptions extends WorkOptions {
  /** As in {@link FlushSyncOptions}. Default false. */
  invalidate?: boolean | undefined;
}

/** What {@link Mapping.toJSON} gives: the facts, the address in hexadecimal. */
export interface MappingFacts {
  readonly path: string | null;
  readonly access: MappingAccess;
  readonly offset: number;
  readonly byteLength: number;
  readonly address: string;
  readonly shared: boolean;
  readonly closed: boolean;
}

/** Only this library makes mappings. */
const making = Symbol('making');
const protections = ['none', 'read', 'write'] as const;

/**
 * Mappings that other threads may be using although nothing here refers to them any more: they
 * stay until they are closed. Every one that was shared is; where the runtime does not tell when the
 * last thread has dropped a buffer, every one that has a buffer to be posted.
 */
const kept = new Set<Mapping>();

/** Found by structured cloning among the properties of a mapping, which cannot be cloned. */
const cloneGuard = {
  get share(): never {
    throw new MemmapError(
      'ERR_MEMMAP_UNSUPPORTED',
      'Cannot post a Mapping: it belongs to its thread',
      {
        hint: 'post mapping.share() and call Mapping.attach(handle) in the worker',
      },
    );
  },
};

/**
 * An EventEmitter whose first property refuses to be cloned. Structured cloning takes properties in
 * their order, and would fail at a listener without a word about what to do.
 */
const Uncloneable = function (this: EventEmitter & { clone: object }) {
  this.clone = cloneGuard;
  EventEmitter.call(this);
} as unknown as new () => EventEmitter<{ fault: [FaultError] }>;
Object.setPrototypeOf(Uncloneable, EventEmitter);
Object.setPrototypeOf(Uncloneable.prototype, EventEmitter.prototype);

/** Refuses a promise: what is guarded would have ended before the work has. */
function refuseThenable(value: unknown): void {
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function';
  if (isObject && typeof (value as { then?: unknown }).then === 'function') {
    throw invalidArgument('fn', 'a synchronous function, which returns no promise', value);
  }
}

function notTypedArray(Type: unknown): TypeError {
  return invalidArgument('Type', 'the constructor of a typed array', Type);
}

/** Also of typed arrays of another realm (vm, Jest), and of classes that extend one. */
function elementBytes(Type: unknown): number {
  const isType = typeof Type === 'function' && Type !== Buffer;
  const { BYTES_PER_ELEMENT: size } = (isType ? Type : {}) as { BYTES_PER_ELEMENT?: unknown };
  if (size !== 1 && size !== 2 && size !== 4 && size !== 8) throw notTypedArray(Type);
  return size;
}

/** Makes a fault the cause of what fn threw; false where that cannot have one. */
function becomesCause(error: unknown, fault: FaultError): boolean {
  if (!types.isNativeError(error) || 'cause' in error || !Object.isExtensible(error)) return false;
  const property = { value: fault, configurable: true, writable: true };
  return Reflect.defineProperty(error, 'cause', property);
}

/**
 * A range of memory over a file, a device or nothing, made by {@link map} or {@link anonymous}.
 *
 * Loads and stores through its buffers never end the process: what would have been a SIGBUS or
 * SIGSEGV becomes a {@link FaultError}, thrown by {@link Mapping.check}, {@link Mapping.guard} or
 * the next method that makes a system call, or emitted as `'fault'`.
 *
 * Offsets and lengths are whole numbers of bytes from the first byte of the mapping. After
 * {@link Mapping.close}, `byteLength` is 0, the other facts stay, and every method throws
 * `ERR_MEMMAP_CLOSED`.
 */
export class Mapping extends Uncloneable {
  readonly #origin: Origin;
  readonly #page: number;
  readonly #kind: number;
  #fd: number;
  #address: number;
  #length: number;
  #capacity: number;
  #closed = false;
  #watched = false;
  #buffer: ArrayBufferLike | undefined;
  #bytes: Buffer | undefined;

  /** @internal */
  constructor(key: symbol, origin: Origin) {
    super();
    if (key !== making) {
      throw new TypeError('Cannot construct a Mapping: call map() or anonymous()');
    }
    this.#origin = origin;
    origin.begin(this);
    const { facts } = native;
    this.#fd = facts[Fact.fd] as number;
    this.#address = facts[Fact.address] as number;
    this.#length = facts[Fact.length] as number;
    this.#capacity = facts[Fact.capacity] as number;
    this.#page = facts[Fact.page] as number;
    this.#kind = facts[Fact.objectKind] as number;
    try {
      watchFaults();
      if (origin.shared) this.#share();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #share(): void {
    const { share } = this.#origin;
    if (!share) return;
    const buffer = this.#attempt('share', () => share(this));
    this.#buffer = buffer;
    // The mapping has moved under the buffer's memory where the runtime cannot do better.
    native.refresh(this);
    this.#address = native.facts[Fact.address] as number;
    tie(buffer, this);
    if (isGrowable(buffer)) kept.add(this);
  }

  /**
   * The mapping of another thread of this process, by what {@link Mapping.share} gave there. It is
   * one more user of the memory, and is closed like any other.
   * @throws MemmapError `ERR_MEMMAP_CLOSED` when its last user has closed it.
   */
  static attach(handle: MappingHandle): Mapping {
    return makeMapping(attached(handle));
  }

  /**
   * What another thread needs to use the same memory: post it, or pass it as workerData, and call
   * {@link Mapping.attach} there. Needs `shared: true`.
   */
  share(): MappingHandle {
    this.#enter('share');
    const { shared, path, access, offset } = this.#origin;
    const buffer = this.#buffer;
    if (!shared || !types.isSharedArrayBuffer(buffer)) throw notShared(this.#origin);
    kept.add(this);
    return makeHandle(this, { buffer, path, access, offset });
  }

  // -- facts ------------------------------------------------------------------------------------

  /** Bytes that are mapped; 0 after close. */
  get byteLength(): number {
    return this.#closed ? 0 : this.#size();
  }
  /** The first byte of the file that is mapped. */
  get offset(): number {
    return this.#origin.offset;
  }
  /** What was asked for: `'read'`, `'write'`, `'copy'` or `'none'`. */
  get access(): MappingAccess {
    return this.#origin.access;
  }
  /** The address of the first byte; `0n` for an empty mapping. */
  get address(): bigint {
    return BigInt(this.#address);
  }
  /**
   * The path that was given, as given, or that of a named shared memory object; `null` for a
   * descriptor and for anonymous memory.
   */
  get path(): string | null {
    return this.#origin.path;
  }
  /** The mapping's own descriptor of its file; -1 where there is none, and after close. */
  get fd(): number {
    return this.#fd;
  }
  get closed(): boolean {
    return this.#closed;
  }
  /** Whether it was mapped with `shared`, so that {@link Mapping.share} works. */
  get shared(): boolean {
    return this.#origin.shared;
  }
  /** Bytes of a page of this mapping: the system's page, or the huge page it was mapped with. */
  get pageSize(): number {
    return this.#page;
  }
  /**
   * Bytes that {@link Mapping.resize} reaches without moving: what was asked for, up to the end of
   * its last page; 0: none.
   */
  get capacity(): number {
    return this.#capacity;
  }

  // -- buffers ----------------------------------------------------------------------------------

  /**
   * The whole mapping as a Buffer, the same one each time. Stores reach the file with access
   * `'write'`. Detached (length 0) by {@link Mapping.close}.
   * @throws RangeError where the mapping is larger than a Buffer of this runtime can be: use
   * {@link Mapping.window}.
   */
  get bytes(): Buffer {
    this.#open('make a buffer');
    const length = this.#size();
    if (this.#bytes && this.#bytes.byteLength === length) return this.#bytes;
    const { buffer, at } = this.#under(0, length);
    this.#bytes = Buffer.from(buffer as ArrayBuffer, at, length);
    return this.#bytes;
  }

  /**
   * The ArrayBuffer of the whole mapping, or its SharedArrayBuffer with `shared`, which spans the
   * capacity where there is one.
   * @throws RangeError as {@link Mapping.bytes}.
   */
  get buffer(): ArrayBufferLike {
    this.#open('make a buffer');
    if (this.#origin.host) return this.#origin.host.buffer();
    if (this.#origin.shared && this.#buffer) return this.#buffer;
    const length = this.#length;
    if (this.#buffer && this.#buffer.byteLength === length) return this.#buffer;
    if (length > constants.MAX_LENGTH) {
      const hint = 'use window(byteOffset, byteLength) for a part of it';
      const expected = `<= ${constants.MAX_LENGTH}, the largest buffer of this runtime`;
      throw outOfRange('byteLength', expected, length, hint);
    }
    this.#buffer = this.#make(0, length);
    return this.#buffer;
  }

  /** An ArrayBuffer of its own over a part. */
  #make(offset: number, length: number): ArrayBuffer {
    if (length === 0) return new ArrayBuffer(0);
    const buffer = native.buffer(this, offset, length).buffer;
    tie(buffer, this);
    return buffer;
  }

  /** Where views of [offset, offset + length) get their buffer, and where in it they begin. */
  #under(offset: number, length: number): { buffer: ArrayBufferLike; at: number } {
    const { host, shared } = this.#origin;
    if (host) return { buffer: host.buffer(), at: host.at + offset };
    if (shared) return { buffer: this.buffer, at: offset };
    const isWhole = offset === 0 && length === this.#length;
    return { buffer: isWhole ? this.buffer : this.#make(offset, length), at: 0 };
  }

  #part(offset: unknown, length: unknown): Span {
    if (offset !== undefined) integer('byteOffset', offset);
    if (length !== undefined) integer('byteLength', length);
    this.#open('make a view');
    const start = offset ?? 0;
    const size = this.#size();
    if (start > size) throw outOfRange('byteOffset', `>= 0 && <= ${size}`, start);
    const rest = size - start;
    if (length !== undefined && length > rest) {
      throw outOfRange('byteLength', `>= 0 && <= ${rest}`, length);
    }
    return { offset: start, length: length ?? rest };
  }

  /**
   * A part of the mapping as a Buffer with memory of exactly this part: the way to mappings that
   * are larger than a buffer can be, and cheap for any (the collector is told of no more than it).
   */
  window(byteOffset: number, byteLength: number): Buffer {
    integer('byteOffset', byteOffset);
    integer('byteLength', byteLength);
    const { offset, length } = this.#part(byteOffset, byteLength);
    if (length > constants.MAX_LENGTH) {
      throw outOfRange('byteLength', `>= 0 && <= ${constants.MAX_LENGTH}`, length);
    }
    const { buffer, at } = this.#under(offset, length);
    return Buffer.from(buffer as ArrayBuffer, at, length);
  }

  /**
   * A typed array over the mapping, without a copy.
   * @param Type `Float64Array`, `Uint32Array`, ...
   * @param byteOffset A multiple of the element's size in memory. Default 0.
   * @param length Elements. Default: all that follow, which must be a whole number of them.
   * @throws RangeError with the nearest aligned offset when it is not aligned.
   */
  view<T>(Type: ViewConstructor<T>, byteOffset?: number, length?: number): T {
    const size = elementBytes(Type);
    if (length !== undefined) {
      integer('length', length, 0, Math.floor(Number.MAX_SAFE_INTEGER / size));
    }
    const part = this.#part(byteOffset, length === undefined ? undefined : length * size);
    checkElement(part.offset, this.#address, size, Type.name);
    if (!isAligned(part.length, size)) {
      const expected = `a whole number of ${Type.name} elements of ${size} bytes`;
      const hint = `pass length ${Math.floor(part.length / size)} to leave the rest out`;
      throw outOfRange('length', expected, `${part.length} bytes`, hint);
    }
    const { buffer, at } = this.#under(part.offset, part.length);
    const view = new Type(buffer, at, part.length / size);
    if (!types.isTypedArray(view)) throw notTypedArray(Type);
    return view;
  }

  /** A DataView over a part of the mapping, at any offset. */
  dataView(byteOffset?: number, byteLength?: number): DataView {
    const { offset, length } = this.#part(byteOffset, byteLength);
    const { buffer, at } = this.#under(offset, length);
    return new DataView(buffer, at, length);
  }

  // -- copies -----------------------------------------------------------------------------------

  /**
   * Copies bytes out of the mapping; nothing it can meet is a fault.
   * @param position Byte of the mapping. Default 0.
   * @returns The bytes copied: fewer than the target holds at the end of the mapping, or where the
   * file was cut.
   * @throws MemmapError `ERR_MEMMAP_NO_ACCESS`, `ERR_MEMMAP_IO` when not a byte could be copied.
   */
  read(target: NodeJS.ArrayBufferView, position = 0): number {
    return this.#copy('read', target, position);
  }

  /**
   * Copies bytes into the mapping; nothing it can meet is a fault.
   * @returns The bytes copied, as for {@link Mapping.read}.
   * @throws MemmapError `ERR_MEMMAP_READ_ONLY` for a mapping or range that may not be written.
   */
  write(source: NodeJS.ArrayBufferView, position = 0): number {
    return this.#copy('write', source, position);
  }

  #copy(verb: 'read' | 'write', view: NodeJS.ArrayBufferView, position: number): number {
    const bytes = bytesOf(verb === 'read' ? 'target' : 'source', view);
    integer('position', position);
    this.#enter(verb);
    if (verb === 'write' && isReadOnly(this.#origin, this.#kind)) throw readOnly(this.#origin);
    return copyBytes(this, verb, bytes, position, this.#origin);
  }

  // -- flush, advice, residency -------------------------------------------------------------------

  /**
   * Brings stores to the disk (msync) off the event loop. The range is rounded outwards to pages.
   * Nothing to do, and no error, on `'read'`, anonymous and empty mappings.
   * @throws MemmapError (rejects) on a `'copy'` mapping, whose stores never reach the file.
   */
  async flush(range?: Range, options?: FlushOptions): Promise<void> {
    const given = readRange(range);
    const work = readWorkOptions(options);
    const invalidate = options?.invalidate ?? false;
    boolean('options.invalidate', invalidate);
    this.#enter('flush');
    const span = within(given, this.#size());
    this.#refuseFlushOfCopy();
    work.signal?.throwIfAborted();
    if (!this.#canFlush(span)) return;
    try {
      await runWork(this, Work.flush, span, work, invalidate);
    } catch (error) {
      throw refused(error, this.#context(`flush ${this.#origin.name}`));
    }
  }

  /** {@link Mapping.flush}, here and now: blocks until the disk has it. */
  flushSync(range?: Range, options: FlushSyncOptions = {}): void {
    const given = readRange(range);
    object('options', options);
    const { mode = 'sync', invalidate = false } = options;
    oneOf('options.mode', mode, ['sync', 'async']);
    boolean('options.invalidate', invalidate);
    this.#enter('flush');
    const { offset, length } = within(given, this.#size());
    this.#refuseFlushOfCopy();
    if (!this.#canFlush({ offset, length })) return;
    this.#attempt('flush', () => native.flush(this, offset, length, Sync[mode], invalidate));
  }

  #refuseFlushOfCopy(): void {
    if (this.#origin.access !== 'copy' || this.#size() === 0) return;
    throw unsupported(
      `flush ${this.#origin.name}`,
      "the stores of a 'copy' mapping never reach its file",
      {
        path: this.#origin.path ?? undefined,
        hint: "map with access 'write' to save, or write mapping.bytes to a file",
      },
    );
  }

  #canFlush(span: Span): boolean {
    return this.#origin.access === 'write' && this.#fd >= 0 && span.length > 0;
  }

  /**
   * Tells the kernel how the range will be used (madvise). Rounded outwards to pages. Lasts until
   * other advice, also through faults and `resize`.
   */
  advise(advice: Advice, range?: Range): void {
    oneOf('advice', advice, adviceNames);
    const given = readRange(range);
    this.#enter('advise');
    const { offset, length } = within(given, this.#size());
    this.#attempt(`advise '${advice}' for`, () =>
      native.advise(this, offset, length, adviceNumber(advice)),
    );
  }

  /**
   * Throws the content of whole pages away. `'dontneed'`: private anonymous memory becomes zeros, a
   * `'copy'` goes back to the file, a shared file loses nothing; `'free'`: private anonymous memory,
   * when the system needs it; `'remove'`: punches a hole into the file, needs `'write'`.
   * @throws RangeError on parts of pages, with the aligned range.
   */
  discard(how: Discard, range?: Range): void {
    oneOf('how', how, discardNames);
    const given = readRange(range);
    this.#enter('discard');
    const span = within(given, this.#size());
    checkWholePages(span, this.#paged());
    if (how === 'remove' && this.#origin.access !== 'write') throw readOnly(this.#origin);
    this.#attempt(`discard ('${how}')`, () =>
      native.advise(this, span.offset, span.length, adviceNumber(how)),
    );
  }

  /**
   * Brings pages in, off the event loop. The range is rounded outwards to pages.
   * @returns What {@link Mapping.residency} says after.
   */
  async prefetch(range?: Range, options?: WorkOptions): Promise<Residency> {
    return this.#move('prefetch', Work.prefetch, range, options);
  }

  /**
   * Puts pages out of memory, off the event loop; nothing is lost. The range is rounded inwards to
   * whole pages. What others have mapped or locked stays.
   * @returns What {@link Mapping.residency} says after.
   */
  async evict(range?: Range, options?: WorkOptions): Promise<Residency> {
    return this.#move('evict', Work.evict, range, options);
  }

  async #move(
    verb: string,
    kind: number,
    range: Range | undefined,
    options: WorkOptions | undefined,
  ): Promise<Residency> {
    const given = readRange(range);
    const work = readWorkOptions(options);
    this.#enter(verb);
    const span = within(given, this.#size());
    try {
      if (span.length > 0) await runWork(this, kind, span, work);
      else work.signal?.throwIfAborted();
    } catch (error) {
      throw refused(error, this.#context(`${verb} ${this.#origin.name}`));
    }
    // It may have become shorter meanwhile.
    const size = this.#closed ? 0 : this.#size();
    const offset = Math.min(span.offset, size);
    return this.residency({ offset, length: Math.min(span.length, size - offset) });
  }

  /**
   * Which pages are in memory (mincore). The range is rounded outwards to pages. Where the kernel
   * would not tell (a file of somebody else's that this user may not write) the answer is `null`.
   */
  residency(range?: Range): Residency {
    const given = readRange(range);
    this.#enter('look at the residency');
    const { offset, length } = within(given, this.#size());
    const pages = pagesAround({ offset, length }, this.#paged());
    const flags = new Uint8Array(pages);
    const isUnknown = this.#attempt('look at the residency of', () =>
      native.residency(this, offset, length, flags),
    );
    return isUnknown ? unknownResidency(this.#page, pages) : packResidency(this.#page, flags);
  }

  // -- locks and protection -----------------------------------------------------------------------

  /**
   * Keeps pages in memory (mlock). The range is rounded outwards to pages.
   * @param options `onFault`: pages are locked when they come in, not brought in now. Default false.
   * @throws MemmapError with the limit that was met; then exactly the pages are locked that were
   * locked before.
   */
  lock(range?: Range, options: { onFault?: boolean | undefined } = {}): void {
    const given = readRange(range);
    object('options', options);
    const { onFault = false } = options;
    boolean('options.onFault', onFault);
    this.#enter('lock');
    const { offset, length } = within(given, this.#size());
    attempt(
      () => native.lock(this, offset, length, onFault),
      () => ({
        ...this.#context(`lock ${length} bytes of ${this.#origin.name}`),
        isCut: this.#isCut(offset + length),
      }),
    );
  }

  /** Takes a lock back (munlock). The range is rounded outwards to pages. */
  unlock(range?: Range): void {
    const given = readRange(range);
    this.#enter('unlock');
    const { offset, length } = within(given, this.#size());
    this.#attempt('unlock', () => native.unlock(this, offset, length));
  }

  /**
   * Sets what whole pages may do (mprotect). On files never more than the mapping's access.
   * @throws RangeError on parts of pages, with the aligned range; MemmapError EACCES.
   */
  protect(protection: Protection, range?: Range): void {
    oneOf('protection', protection, protections);
    const given = readRange(range);
    this.#enter('protect');
    const span = within(given, this.#size());
    checkWholePages(span, this.#paged());
    this.#attempt(`set '${protection}' for`, () =>
      native.protect(this, span.offset, span.length, Access[protection]),
    );
  }

  /**
   * Raises the right of the whole mapping while `fn` runs, then puts back what each range had;
   * a range that may do more keeps it.
   * Faults are those of {@link Mapping.guard}.
   * @param fn A synchronous function; it is given the mapping.
   * @returns What `fn` returns.
   */
  withAccess<T>(access: Exclude<Protection, 'none'>, fn: (mapping: this) => T): T {
    oneOf('access', access, ['read', 'write']);
    callback('fn', fn);
    this.#enter('raise the access');
    const { name } = this.#origin;
    // Within the guard: a fault of another thread may end it before anything is raised.
    return this.guard(() => {
      const restore = attempt(
        () => raiseProtection(this, this.#size(), Access[access]),
        () => this.#context(`raise the access of ${name} to '${access}'`),
      );
      try {
        return fn(this);
      } finally {
        if (!this.#closed) restore(this.#size());
      }
    });
  }

  // -- pages ----------------------------------------------------------------------------------------

  /**
   * From a byte of the mapping to its page: the way through the page tables, the entry, and the
   * frame with its flags where the system shows them (root). What it does not show is `null` and
   * named in `unknown`. The page is looked at as it is, not brought in.
   */
  translate(offset = 0): Translation {
    integer('offset', offset);
    this.#enter('translate');
    const size = this.#size();
    if (offset >= size) throw outOfRange('offset', `>= 0 && < ${size}`, offset);
    const hugetlbBytes = this.#page === native.pageBytes ? undefined : this.#page;
    return translateAddress('self', this.address + BigInt(offset), { hugetlbBytes });
  }

  /**
   * Notes from now on which pages are stored to through this mapping (userfaultfd), for
   * {@link Mapping.writtenPages}. What write(2) or another mapping changes is not noted. Stores cost
   * one cheap fault a page. A fault or a `resize` that moves ends it for the pages concerned.
   * @throws MemmapError ERR_MEMMAP_UNSUPPORTED before Linux 6.7, and where it is forbidden.
   */
  watchWrites(): void {
    this.#enter('watch the stores to');
    if (this.access === 'read') {
      throw unsupported('watch stores', "a mapping of access 'read' takes none", {
        hint: "map it with access 'write' or 'copy'",
      });
    }
    try {
      native.watchWrites(this);
    } catch (error) {
      const code = (error as NativeFailure).errno;
      const hint = 'Linux 6.7 has it (userfaultfd); filters of containers may forbid it';
      throw unsupported('watch stores', `the kernel answers ${getSystemErrorName(code)}`, {
        cause: error,
        hint,
      });
    }
    this.#watched = true;
  }

  /**
   * The pages that were stored to, in runs of bytes of the mapping. After
   * {@link Mapping.watchWrites}: since then, or since the last `reset`. Else, for `'copy'` and
   * private anonymous memory: since the pages were first there (found from the page table).
   * @param options `reset`: begin anew, without a gap. Only with watchWrites. Default false.
   * @returns `null`: unknown, since a fault or a move ended the watch of a page in the range.
   * @throws MemmapError ERR_MEMMAP_UNSUPPORTED on shared memory that is not watched, and before
   * Linux 6.7.
   */
  writtenPages(range?: Range, options: { reset?: boolean | undefined } = {}): Span[] | null {
    const given = readRange(range);
    object('options', options);
    const { reset = false } = options;
    boolean('options.reset', reset);
    this.#enter('look for written pages');
    const span = within(given, this.#size());
    if (span.length === 0) return [];
    const isPrivate = this.access === 'copy' || (this.fd < 0 && this.access !== 'none');
    if (!this.#watched && (reset || !isPrivate)) {
      throw unsupported('look for written pages', 'nobody watches the stores to this mapping', {
        hint: 'call watchWrites() first',
      });
    }
    const mode = !this.#watched ? Written.copies : reset ? Written.reset : Written.watched;
    try {
      return collectWritten(this, span, mode);
    } catch (error) {
      if (this.#watched && isNotWatched(error)) return null;
      const { errno } = error as NativeFailure;
      throw unsupported(
        'look for written pages',
        `the kernel answers ${getSystemErrorName(errno)}`,
        {
          cause: error,
          hint: 'Linux 6.7 has PAGEMAP_SCAN',
        },
      );
    }
  }

  // -- size and end -------------------------------------------------------------------------------

  /**
   * Changes the length of mapping and file together, or of neither. With a capacity nothing moves:
   * growing leaves views as they are, shrinking detaches those that reach behind the new end.
   * Without, all earlier views are detached. A `'read'` mapping follows its file and never changes
   * it; a mapping that ends before its file does never cuts it.
   */
  resize(byteLength: number): void {
    integer('byteLength', byteLength, 0, Number.MAX_SAFE_INTEGER - this.#origin.offset);
    this.#enter('resize');
    if (byteLength === this.#size() && this.#capacity > 0) return;
    // Without a byte the engine has no buffer, and would not know that one is shared.
    const isEmptyShared = this.#origin.shared && this.#capacity === 0 && this.#size() === 0;
    const refusal = isEmptyShared
      ? Refusal.notResizable
      : this.#attempt(`resize (to ${byteLength} bytes)`, () => native.resize(this, byteLength));
    if (refusal !== 0) {
      throw refusedResize(refusal, byteLength, this.#capacity, this.#origin);
    }
    this.#length = byteLength;
    this.#address = native.facts[Fact.address] as number;
    this.#bytes = undefined;
    if (!this.#origin.shared) this.#buffer = undefined;
  }

  /** Throws the faults since the last look, if there were any. */
  check(): void {
    this.#enter('check');
  }

  /**
   * Runs `fn`, then throws the faults that any thread met in this mapping meanwhile. What waited
   * before is thrown first, without running `fn`. An error of `fn` itself wins; the fault becomes
   * its `cause`.
   * @param fn A synchronous function; it is given the mapping.
   */
  guard<T>(fn: (mapping: this) => T): T {
    callback('fn', fn);
    this.#enter('guard');
    let result: T;
    native.guard(this, true);
    try {
      result = fn(this);
      refuseThenable(result);
    } catch (error) {
      const fault = this.#endGuard();
      if (fault && !becomesCause(error, fault)) deliverLater(this, fault);
      throw error;
    }
    const fault = this.#endGuard();
    if (fault) throw fault;
    return result;
  }

  /**
   * Unmaps now: every buffer is detached (length 0), memory and file are given back. Twice is fine.
   * Of `shared` mappings the memory goes with the last Mapping; their buffer then gives zeros, and
   * stores are faults. The collector closes what is forgotten, unless other threads may be using it:
   * what was shared, and on Node 20 and Deno every `shared` mapping.
   */
  close(): void {
    if (this.#closed) return;
    const fault = this.#takeFaults();
    this.#closed = true;
    kept.delete(this);
    this.#fd = -1;
    this.#bytes = undefined;
    this.#buffer = undefined;
    native.close(this);
    if (fault) deliverLater(this, fault);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** The facts, for `JSON.stringify` and for test runners that print what they compare. */
  toJSON(): MappingFacts {
    const { path, access, offset, byteLength, address, shared, closed } = this;
    return {
      path,
      access,
      offset,
      byteLength,
      address: `0x${address.toString(16)}`,
      shared,
      closed,
    };
  }

  [inspect.custom](depth: number, options: object): string {
    const { closed: isClosed, ...facts } = this.toJSON();
    const state = isClosed ? ' (closed)' : '';
    return depth < 0 ? '[Mapping]' : `Mapping${state} ${inspect(facts, { ...options, depth })}`;
  }

  // -- inside -------------------------------------------------------------------------------------

  /** The length as it is now: other threads can resize what they share. */
  #size(): number {
    if (this.#origin.shared && this.#capacity > 0) {
      native.refresh(this);
      this.#length = native.facts[Fact.length] as number;
    }
    return this.#length;
  }

  /** Whether the file has become shorter than a part of its mapping. */
  #isCut(end: number): boolean {
    return this.#origin.offset + end > native.objectBytes(this);
  }

  #paged(): Paged {
    return {
      lead: this.#origin.offset % this.#page,
      length: this.#length,
      page: this.#page,
    };
  }

  #takeFaults(): FaultError | undefined {
    const isFaulted = !this.#closed && native.hasFaults(this);
    return isFaulted ? takeFaults(this) : undefined;
  }

  #endGuard(): FaultError | undefined {
    if (this.#closed) return undefined; // what it met was told when it was closed
    const fault = this.#takeFaults();
    native.guard(this, false);
    return fault;
  }

  #open(action: string): void {
    if (this.#closed) throw closed(action, this.#origin.path);
  }

  /** The way into every method that makes a system call: open, and nothing left to be told. */
  #enter(action: string): void {
    if (this.#closed) throw closed(action, this.#origin.path);
    const fault = this.#takeFaults();
    if (fault) throw fault;
  }

  #context(action: string, hugePages = false) {
    return { action, path: this.#origin.path, access: this.#origin.access, hugePages };
  }

  #attempt<T>(verb: string, work: () => T): T {
    return attempt(work, () => this.#context(`${verb} ${this.#origin.name}`));
  }
}

/** Makes the mapping that was asked for. */
export function makeMapping(origin: Origin): Mapping {
  return new Mapping(making, origin);
}
