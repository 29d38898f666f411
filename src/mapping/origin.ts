/**
 * Where a mapping comes from: a request to the system, or a mapping of another thread.
 */
import { types } from 'node:util';
import { Fact, native } from '../binding/native.ts';
import { closed, invalidArgument, type MemmapError, unsupported } from '../core/errors.ts';
import { object } from '../core/validate.ts';
import { adviceNumber } from './advice.ts';
import { accessNumber, type MappingAccess, type Request } from './options.ts';
import { describeTarget, refused, refusedRequest } from './refusal.ts';
import { checkShared, makeSharedBuffer, pinShared, reserveShared } from './sharing.ts';

/** What a Mapping is made from. */
export interface Origin {
  readonly path: string | null;
  /** What messages call it. */
  readonly name: string;
  readonly access: MappingAccess;
  readonly offset: number;
  readonly shared: boolean;
  /** Makes the memory the mapping's own; afterwards the facts are set. */
  begin(mapping: object): void;
  /** What is only possible once it has begun; on failure the mapping is closed. */
  readonly share?: ((mapping: object) => SharedArrayBuffer) | undefined;
  /** Memory that belongs to somebody else, of which the mapping is a part from `at` on. */
  readonly host?: { buffer(): ArrayBufferLike; readonly at: number };
}

/** A mapping that the system is asked for. */
export function requested(request: Request): Origin {
  const { path, access, offset, shared, target, length, capacity, flags, hugeShift, address } =
    request;
  const advice = request.advice === undefined ? -1 : adviceNumber(request.advice);
  const name = describeTarget(request);
  let reserved: SharedArrayBuffer | undefined;
  return {
    path,
    name,
    access,
    offset,
    shared,
    begin(mapping) {
      if (shared) checkShared('options.length', Math.max(length, capacity));
      if (shared && address !== 0n && !native.hasSharedBuffers) {
        const hint = 'use Node 22 or later, or leave the address to the system';
        throw unsupported(`share ${name} at an address`, 'this runtime chooses it', { hint });
      }
      if (shared) reserved = reserveShared(Math.max(length, capacity));
      const number = accessNumber(access);
      let refusal: number;
      try {
        refusal = native.map(
          mapping,
          target,
          number,
          offset,
          length,
          capacity,
          flags,
          hugeShift,
          address,
          advice,
        );
      } catch (error) {
        const action = `map ${name} with access '${access}'`;
        // Also those of a hugetlbfs that the file is on.
        const hugePages = hugeShift !== 0 || (native.facts[Fact.page] as number) > native.pageBytes;
        throw refused(error, { action, path, access, hugePages });
      }
      if (refusal !== 0) throw refusedRequest(refusal, request);
    },
    share(mapping) {
      const { facts } = native;
      const bytes = (facts[Fact.capacity] as number) || (facts[Fact.length] as number);
      checkShared('options.length', bytes);
      return bytes === 0 ? new SharedArrayBuffer(0) : makeSharedBuffer(mapping, bytes, reserved);
    },
  };
}

/**
 * What {@link Mapping.share} gives and {@link Mapping.attach} takes. It can be posted to workers
 * of this process, and nowhere else; it does not keep the mapping open.
 */
export interface MappingHandle {
  readonly memmap: 1;
  readonly number: number;
  readonly process: number;
  readonly buffer: SharedArrayBuffer;
  readonly path: string | null;
  readonly access: MappingAccess;
  readonly offset: number;
}

/** The handle of an open shared mapping. */
export function makeHandle(
  mapping: object,
  origin: Omit<MappingHandle, 'memmap' | 'number' | 'process'>,
): MappingHandle {
  const { buffer, path, access, offset } = origin;
  const number = native.share(mapping);
  return { memmap: 1, number, process: process.pid, buffer, path, access, offset };
}

function readHandle(given: unknown): MappingHandle {
  object('handle', given);
  const { memmap, number, process: pid, buffer, path, access, offset } = given as MappingHandle;
  const isHandle =
    memmap === 1 &&
    typeof number === 'number' &&
    types.isSharedArrayBuffer(buffer) &&
    (path === null || typeof path === 'string') &&
    typeof offset === 'number';
  if (!isHandle) throw invalidArgument('handle', 'what mapping.share() gave', given);
  if (pid !== process.pid) {
    throw unsupported('attach', 'the handle is of another process', {
      hint: 'map the same file there, or pass the descriptor of shared memory to it',
    });
  }
  return { memmap, number, process: pid, buffer, path, access, offset };
}

/** The mapping of another thread of this process. */
export function attached(given: unknown): Origin {
  const handle = readHandle(given);
  const { number, buffer, path, access, offset } = handle;
  return {
    path,
    name: path ?? 'shared memory',
    access,
    offset,
    shared: true,
    begin(mapping) {
      const pin = pinShared(buffer);
      if (!native.attach(mapping, number, new Uint8Array(buffer), pin)) {
        throw closed('attach', path);
      }
      const { facts } = native;
      const isEmpty = facts[Fact.length] === 0 && facts[Fact.capacity] === 0;
      const isAnother =
        facts[Fact.access] !== accessNumber(access) ||
        facts[Fact.offset] !== offset ||
        (isEmpty && buffer.byteLength > 0);
      if (isAnother) {
        native.close(mapping);
        throw invalidArgument('handle', 'as mapping.share() gave it', given);
      }
      if (buffer.byteLength > 0) native.hold(mapping, buffer);
    },
    share: () => buffer,
  };
}

/** The error of a mapping that has no SharedArrayBuffer of its own to be posted. */
export function notShared({ name, path, host }: Origin): MemmapError {
  return unsupported(`share ${name}`, 'its buffer is not its own SharedArrayBuffer', {
    path: path ?? undefined,
    hint: host ? 'post the WebAssembly.Memory, made with shared: true' : 'map it with shared: true',
  });
}
