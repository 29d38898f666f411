/**
 * A small WebAssembly module over an imported memory, put together here so that tests need no
 * compiler: https://webassembly.github.io/spec/core/binary/.
 */
import type { WasmMemory } from 'memmap';

type GrowableMemory = WasmMemory & { grow(pages: number): number };
interface Wasm {
  Memory: new (type: { initial: number; maximum?: number; shared?: boolean }) => GrowableMemory;
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { exports: unknown };
}
/** The types of Node 20 do not name it. */
export const { Memory, Module, Instance } = (globalThis as unknown as { WebAssembly: Wasm })
  .WebAssembly;

const i32 = 0x7f;
const [block, loop, end, br, brIf, ret, get, set] = [2, 3, 11, 12, 13, 15, 0x20, 0x21] as const;
const [load8, store8, constant, equal, add] = [0x2d, 0x3a, 0x41, 0x46, 0x6a] as const;
const [none, ifThen] = [0x40, 4] as const;

const vector = (items: number[][]) => [items.length, ...items.flat()];
const text = (value: string) => [value.length, ...Buffer.from(value)];
const section = (id: number, content: number[]) => [id, content.length, ...content];
const body = (locals: number[], code: number[]) => {
  const content = [...locals, ...code, end];
  return [content.length, ...content];
};
/** `while (at != end) { code; at++ }`, at and end being the first two locals. */
const each = (code: number[]) => [
  ...[block, none, loop, none, get, 0, get, 1, equal, brIf, 1],
  ...code,
  ...[get, 0, constant, 1, add, set, 0, br, 0, end, end],
];

const sum = body([1, 1, i32], [...each([get, 2, get, 0, load8, 0, 0, add, set, 2]), get, 2]);
const find = body(
  [0],
  [...each([get, 0, load8, 0, 0, get, 2, equal, ifThen, none, get, 0, ret, end]), constant, 0x7f],
);
const store = body([0], [get, 0, get, 1, store8, 0, 0]);

function moduleBytes(isShared: boolean): Uint8Array {
  const limits = isShared ? [3, 0, 0x80, 0x80, 4] : [0, 0];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(
      1,
      vector([
        [0x60, 2, i32, i32, 1, i32],
        [0x60, 3, i32, i32, i32, 1, i32],
        [0x60, 2, i32, i32, 0],
      ]),
    ),
    ...section(2, vector([[...text('host'), ...text('memory'), 2, ...limits]])),
    ...section(3, vector([[0], [1], [2]])),
    ...section(
      7,
      vector([
        [...text('sum'), 0, 0],
        [...text('find'), 0, 1],
        [...text('store'), 0, 2],
      ]),
    ),
    ...section(10, vector([sum, find, store])),
  ]);
}

export interface Scanner {
  /** Sum of the bytes in [at, end), modulo 2^32. */
  sum(at: number, end: number): number;
  /** The first place of a byte in [at, end), or -1. */
  find(at: number, end: number, byte: number): number;
  store(at: number, byte: number): void;
}

export function instantiate(memory: WasmMemory): Scanner {
  const isShared = memory.buffer instanceof SharedArrayBuffer;
  const module = new Module(moduleBytes(isShared));
  return new Instance(module, { host: { memory } }).exports as Scanner;
}
