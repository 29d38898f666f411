/**
 * A file under a part of a WebAssembly.Memory, so that WASM code works on it without a copy.
 *
 * The pages of the memory are replaced by pages of the file (MAP_FIXED); engines on V8 reserve the
 * addresses of a memory once and grow it in place. The memory object is held as long as the mapping
 * is there, and closing leaves ordinary zeroed memory. When a memory grows, V8 makes all of it
 * writable, and ends the process if it may not: so a file that is only read is mapped privately,
 * and what is stored into it after the memory has grown stays in this process, unreported. Never on Bun: its engine zeroes and reuses
 * such memory, which would write into the file.
 */
import { constants } from 'node:os';
import { Flag, type NativeFailure, native } from '../binding/native.ts';
import { invalidArgument, MemmapError, outOfRange, unsupported } from '../core/errors.ts';
import { nearest, roundUp } from '../core/page.ts';
import { integer, object, oneOf } from '../core/validate.ts';
import { type Mapping, makeMapping } from './mapping.ts';
import { type FileAccess, type FileLike, readMapOptions } from './options.ts';
import { type Origin, requested } from './origin.ts';
import { refused } from './refusal.ts';

/** What of `WebAssembly.Memory` is used; the types of Node 20 do not name it. */
export interface WasmMemory {
  readonly buffer: ArrayBufferLike;
}

export interface MapIntoWasmOptions {
  /** Byte of the memory at which the file begins; with `offset`, congruent to the page. */
  at: number;
  /** As of {@link map}. Default `'read'`. */
  access?: FileAccess | undefined;
  /** First byte in the file. Default 0. */
  offset?: number | undefined;
  /** Bytes. Default: to the end of the file. */
  length?: number | undefined;
}

const { Memory } = (globalThis as unknown as { WebAssembly: { Memory: new () => WasmMemory } })
  .WebAssembly;
/** The engine's own answer, whatever a memory says of itself: it throws for what is none. */
const getBuffer = Object.getOwnPropertyDescriptor(Memory.prototype, 'buffer')?.get as (
  this: unknown,
) => ArrayBufferLike;

function bufferOf(memory: unknown): ArrayBufferLike {
  try {
    return getBuffer.call(memory);
  } catch {
    throw invalidArgument('memory', 'an instance of WebAssembly.Memory', memory);
  }
}

function moveOnto(
  mapping: object,
  target: Uint8Array,
  memory: WasmMemory,
  { name, path, access }: Origin,
): void {
  try {
    native.moveOnto(mapping, target, memory, getBuffer);
  } catch (error) {
    if ((error as NativeFailure).errno === -constants.errno.EEXIST) {
      const message = `Cannot map ${name} into WebAssembly: another mapping is there (EEXIST)`;
      const hint = 'close that one first, or choose another place';
      throw new MemmapError('EEXIST', message, { path: path ?? undefined, hint });
    }
    throw refused(error, { action: `map ${name} into WebAssembly`, path, access });
  }
}

/**
 * Puts a file under `memory` from byte `at` on, page by page: whole pages of the memory are
 * replaced, and what was in them is gone. Use the mapping's `flush`, `check`, `guard`, `protect`
 * and `close` as of any other; its `buffer` is the memory's, and `bytes` the part with the file.
 * After close the part is zeroed memory of the WebAssembly.Memory again.
 * @throws MemmapError `ERR_MEMMAP_UNSUPPORTED` on Bun, EEXIST where another mapping is there already;
 * RangeError where the file does not fit.
 */
export function mapIntoWasm(
  memory: WasmMemory,
  file: FileLike,
  options: MapIntoWasmOptions,
): Mapping {
  bufferOf(memory);
  object('options', options);
  const { at, access = 'read', offset = 0, length } = options;
  integer('options.at', at);
  oneOf('options.access', access, ['read', 'write', 'copy']);
  const request = readMapOptions(file, { access, offset, length });
  if ('bun' in process.versions) {
    throw unsupported('map into WebAssembly', 'the engine of this runtime reuses the memory', {
      hint: 'use Node or Deno, or copy with mapping.read()',
    });
  }
  const page = native.pageBytes;
  const lead = offset % page;
  if (at % page !== lead) {
    const aligned = lead + nearest(at < lead ? 0 : at - lead, page);
    const expected = `${lead} modulo the page of ${page} bytes, as the offset ${offset} is`;
    throw outOfRange('options.at', expected, at, `use at: ${aligned}`);
  }
  const isRead = access === 'read';
  const origin = requested({ ...request, flags: request.flags | (isRead ? Flag.private : 0) });
  const host = { buffer: () => bufferOf(memory), at };
  return makeMapping({
    ...origin,
    host,
    share: undefined,
    begin(mapping) {
      origin.begin(mapping);
      const bytes = native.facts[0] as number;
      try {
        const buffer = bufferOf(memory);
        const room = buffer.byteLength;
        if (roundUp(at + bytes, page) > room || at + bytes > room) {
          throw outOfRange('options.at', `<= ${room - bytes}, so that ${bytes} bytes fit`, at);
        }
        if (bytes > 0) moveOnto(mapping, new Uint8Array(buffer, at - lead), memory, origin);
        native.refresh(mapping);
      } catch (error) {
        native.close(mapping);
        throw error;
      }
    },
  });
}
