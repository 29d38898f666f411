/**
 * Whether the engine ever reuses or zeroes memory that is still a file's.
 *
 * Each scenario maps files of several sizes, ends (or keeps) the mappings in one way, and then
 * makes thousands of buffers and WebAssembly memories of the same sizes, fills them with 0xff and
 * lets them be collected. The files must be what they were. A file on the disk shows at once what
 * was stored through any mapping of it.
 *
 *   churn.js DIRECTORY [SCENARIO...] [--rounds=N]   N times 300 pieces of memory, twice
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Mapping, type MappingHandle, map, mapIntoWasm, pageSize } from 'memmap';
import { Memory } from '../support/wasm.ts';
import { check, collect, finish, runtime, turn } from './runtime.ts';

const options = process.argv.slice(2).filter((argument) => argument.startsWith('--'));
const [directory = '.', ...chosen] = process.argv.slice(2).filter((a) => !a.startsWith('--'));
/** Bytes: less and more than what malloc takes from the system as a mapping of its own. */
const sizes = [pageSize, 65536, 3 * 65536];
const rounds = Number(options.find((option) => option.startsWith('--rounds='))?.slice(9) ?? 4);
let count = 0;

interface Subject {
  readonly path: string;
  readonly content: Uint8Array;
  readonly length: number;
}

function subject(length: number): Subject {
  const path = join(directory, `${++count}.bin`);
  const content = Uint8Array.from({ length }, (_, at) => (at % 241) + 1);
  writeFileSync(path, content);
  return { path, content, length };
}

const subjects = () => sizes.map(subject);

function unchanged(files: readonly Subject[], when: string): void {
  for (const { path, content, length } of files) {
    const now = readFileSync(path);
    if (Buffer.compare(now, content) === 0) continue;
    const at = now.findIndex((byte, index) => byte !== content[index]);
    assert.fail(`${when}: the file of ${length} bytes has ${now[at]} at byte ${at}`);
  }
}

/** Ways to memory of `length` bytes, as a program uses them. */
const makers: ((length: number) => Uint8Array)[] = [
  (length) => new Uint8Array(new SharedArrayBuffer(length)),
  (length) => new Uint8Array(new SharedArrayBuffer(length, { maxByteLength: length })),
  (length) => {
    const buffer = new SharedArrayBuffer(1, { maxByteLength: length });
    buffer.grow(length);
    return new Uint8Array(buffer);
  },
  (length) => new Uint8Array(length),
  (length) => Buffer.alloc(length),
  (length) => new Uint8Array(new ArrayBuffer(length, { maxByteLength: 2 * length })),
  (length) => new Uint8Array(structuredClone(new SharedArrayBuffer(length))),
];

function wasmMemories(length: number): Uint8Array[] {
  const pages = Math.ceil(length / 65536);
  const grown = new Memory({ initial: 1, maximum: pages + 1 });
  grown.grow(pages);
  return [
    new Memory({ initial: pages, maximum: pages }),
    new Memory({ initial: pages }),
    new Memory({ initial: pages, maximum: pages, shared: true }),
    grown,
  ].map(({ buffer }) => new Uint8Array(buffer));
}

/** Some thousand pieces of memory, all 0xff, all collected in the end; `files` looked at between. */
async function churn(files: readonly Subject[]): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (const length of sizes) {
      const held: Uint8Array[] = [];
      for (let i = 0; i < 12; i++) for (const make of makers) held.push(make(length).fill(0xff));
      for (let i = 0; i < 3; i++) held.push(...wasmMemories(length).map((b) => b.fill(0xff)));
      assert.ok(held.every((bytes) => bytes[0] === 0xff && bytes.at(-1) === 0xff));
    }
    unchanged(files, `round ${round}`);
    collect();
    await turn(1);
    unchanged(files, `round ${round}, after collecting`);
  }
}

/** A worker that has done what its role says. */
async function worker(data: object): Promise<{ worker: Worker; handles: MappingHandle[] }> {
  const thread = new Worker(new URL('./churn-worker.js', import.meta.url), { workerData: data });
  const handles = await new Promise<MappingHandle[]>((resolve, reject) => {
    thread.once('message', resolve);
    thread.once('error', reject);
  });
  return { worker: thread, handles };
}

// What is stored into closed mappings here is thrown away, and told.
process.on('uncaughtException', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'ERR_MEMMAP_CLOSED') throw error;
});

/** Stores into everything that was kept of mappings that are closed. */
function scribble(kept: unknown): void {
  for (const each of [kept].flat()) {
    const buffer = each instanceof Memory ? each.buffer : each;
    const isBuffer = buffer instanceof ArrayBuffer || buffer instanceof SharedArrayBuffer;
    if (isBuffer && buffer.byteLength > 0) new Uint8Array(buffer).fill(0xff);
  }
}

const open = ({ path }: Subject, shared: boolean) => map(path, { access: 'write', shared });

/** One that touches its file, through a buffer made on the way. */
function used(mapping: Mapping): Mapping {
  const bytes = new Uint8Array(mapping.buffer);
  bytes[0] = bytes[0] as number;
  return mapping;
}

/** Mappings of all files into a memory of their own; the memories with them. */
function intoWasm(files: readonly Subject[], shared = false) {
  return files.map(({ path, length }) => {
    const pages = Math.ceil(length / 65536) + 1;
    const memory = new Memory({ initial: pages, maximum: 2 * pages, shared });
    return { memory, mapping: mapIntoWasm(memory, path, { at: 65536, access: 'write' }) };
  });
}

/** What is done to the mappings before memory is made; what it returns is held until the end. */
const endings: Record<string, (mappings: Mapping[]) => unknown> = {
  open: (mappings) => mappings,
  closed(mappings) {
    for (const mapping of mappings) mapping.close();
  },
  forgotten: () => undefined,
  'closed, buffer kept': (mappings) => {
    const buffers = mappings.map((mapping) => mapping.buffer);
    for (const mapping of mappings) mapping.close();
    return buffers;
  },
  'forgotten, buffer kept': (mappings) => mappings.map((mapping) => mapping.buffer),
  'closed, clone kept': (mappings) => {
    const clones = mappings.map(({ buffer }) => structuredClone(buffer));
    for (const mapping of mappings) mapping.close();
    return clones;
  },
  'forgotten, clone kept': (mappings) => mappings.map(({ buffer }) => structuredClone(buffer)),
  'closed while flushing': async (mappings) => {
    const flushes = mappings.map((mapping) => mapping.flush());
    for (const mapping of mappings) mapping.close();
    await Promise.all(flushes);
  },
};

type Scenario = (files: readonly Subject[]) => unknown;

const scenarios: Record<string, Scenario> = {};
for (const [name, end] of Object.entries(endings)) {
  const shared: Scenario = (files) => end(files.map((file) => used(open(file, true))));
  const plain: Scenario = (files) => end(files.map((file) => used(open(file, false))));
  scenarios[`shared, ${name}`] = shared;
  if (!name.includes('clone')) scenarios[`plain, ${name}`] = plain;
}

Object.assign(scenarios, {
  'shared, attached twice, first closed': (files) => {
    const first = files.map((file) => open(file, true));
    const second = first.map((mapping) => Mapping.attach(mapping.share()));
    for (const mapping of first) mapping.close();
    return second;
  },
  'plain, moved by transfer': (files) =>
    files.map((file) => {
      const mapping = open(file, false);
      const { buffer } = mapping as { buffer: ArrayBuffer & { transfer?(): ArrayBuffer } };
      const moved = buffer.transfer?.();
      mapping.close();
      return moved;
    }),
  'plain, windows': (files) =>
    files.map((file) => {
      const mapping = open(file, false);
      const windows = [0, 1, 2].map((at) => mapping.window(at, pageSize / 2));
      mapping.close();
      return windows;
    }),
  'workers attached and terminated': async (files) => {
    const mappings = files.map((file) => open(file, true));
    const handles = mappings.map((mapping) => mapping.share());
    const workers = await Promise.all([1, 2].map(() => worker({ role: 'attach', handles })));
    await Promise.all(workers.map(({ worker: thread }) => thread.terminate()));
    return mappings;
  },
  'workers attached and terminated, closed': async (files) => {
    const mappings = files.map((file) => open(file, true));
    const handles = mappings.map((mapping) => mapping.share());
    const workers = await Promise.all([1, 2].map(() => worker({ role: 'attach', handles })));
    for (const mapping of mappings) mapping.close();
    await Promise.all(workers.map(({ worker: thread }) => thread.terminate()));
  },
  'workers only hold the buffer': async (files) => {
    const mappings = files.map((file) => open(file, true));
    const handles = mappings.map((mapping) => mapping.share());
    const workers = await Promise.all([1, 2].map(() => worker({ role: 'hold', handles })));
    for (const mapping of mappings) mapping.close();
    return { end: () => Promise.all(workers.map(({ worker: thread }) => thread.terminate())) };
  },
  'workers keep it, this thread forgets': async (files) => {
    const handles = files.map((file) => used(open(file, true)).share());
    const workers = await Promise.all([1, 2].map(() => worker({ role: 'attach', handles })));
    handles.length = 0;
    return { end: () => Promise.all(workers.map(({ worker: thread }) => thread.terminate())) };
  },
  'workers close and go on': async (files) => {
    const mappings = files.map((file) => open(file, true));
    const handles = mappings.map((mapping) => mapping.share());
    const { worker: thread } = await worker({ role: 'close', handles, sizes });
    return { mappings, end: () => thread.terminate() };
  },
  'creator exits first': async (files) => {
    const { worker: thread, handles } = await worker({ role: 'make', files });
    const mappings = handles.map((handle) => Mapping.attach(handle));
    await thread.terminate();
    return mappings;
  },
  'creator exits first, closed': async (files) => {
    const { worker: thread, handles } = await worker({ role: 'make', files });
    const mappings = handles.map((handle) => Mapping.attach(handle));
    await thread.terminate();
    for (const mapping of mappings) mapping.close();
  },
  'creator exits first, never attached': async (files) => {
    const { worker: thread, handles } = await worker({ role: 'make', files });
    await thread.terminate();
    return handles;
  },
  'posted as a plain buffer': async (files) => {
    const mappings = files.map((file) => open(file, false));
    const { worker: thread } = await worker({ role: 'nothing' });
    for (const { buffer } of mappings) {
      try {
        thread.postMessage(buffer, [buffer as ArrayBuffer]);
      } catch {
        // Node from 22 on and Bun refuse; Node 20 copies; Deno moves the memory to the worker.
      }
    }
    for (const mapping of mappings.slice(1)) mapping.close();
    await turn();
    await thread.terminate();
    return mappings;
  },
} satisfies Record<string, Scenario>);

if (runtime !== 'bun') {
  Object.assign(scenarios, {
    'wasm, open': (files) => intoWasm(files),
    'wasm, closed': (files) => void intoWasm(files).map(({ mapping }) => mapping.close()),
    'wasm, closed, memory kept': (files) =>
      intoWasm(files).map(({ mapping, memory }) => {
        mapping.close();
        return memory;
      }),
    'wasm, forgotten': (files) => void intoWasm(files),
    'wasm, memory forgotten': (files) => intoWasm(files).map(({ mapping }) => mapping),
    'wasm, mapping forgotten': (files) => intoWasm(files).map(({ memory }) => memory),
    'wasm, buffer kept': (files) => intoWasm(files).map(({ memory }) => memory.buffer),
    'wasm, grown': (files) =>
      intoWasm(files).map((both) => {
        both.memory.grow(1);
        new Uint8Array(both.memory.buffer, both.memory.buffer.byteLength - 65536).fill(0xff);
        return both;
      }),
    'wasm, shared': (files) => intoWasm(files, true),
    'wasm, shared, posted, worker terminated': async (files) => {
      const all = intoWasm(files, true);
      const memories = all.map(({ memory }) => memory);
      const { worker: thread } = await worker({ role: 'memories', memories });
      for (const { mapping } of all.slice(2)) mapping.close();
      await thread.terminate();
      return all.slice(0, 2);
    },
    'wasm, in a worker that is terminated': async (files) => {
      const { worker: thread } = await worker({ role: 'wasm', files });
      await thread.terminate();
    },
    'wasm, shared, of a worker that is terminated': async (files) => {
      const { worker: thread, handles } = await worker({ role: 'wasm', files, shared: true });
      await thread.terminate();
      return handles;
    },
  } satisfies Record<string, Scenario>);
}

const known = Object.keys(scenarios);
assert.deepEqual(
  chosen.filter((name) => !known.includes(name)),
  [],
);
for (const name of chosen.length > 0 ? chosen : known) {
  await check(name, async () => {
    const files = subjects();
    const held = (await (scenarios[name] as Scenario)(files)) as { end?(): unknown } | undefined;
    unchanged(files, 'before');
    if (name.includes('closed')) scribble(held);
    await churn(files);
    if (name.includes('closed')) scribble(held);
    await held?.end?.();
    await churn(files);
    // What is still mapped is still the file's.
    const open = [held].flat().filter((each) => each instanceof Mapping && !each.closed);
    for (const [at, mapping] of (open as Mapping[]).entries()) {
      if (open.length !== files.length) break;
      const { content, path } = files[at] as Subject;
      assert.deepEqual(Buffer.compare(mapping.bytes, content), 0, 'the mapping is the file');
      mapping.bytes[0] = 250;
      assert.equal(readFileSync(path)[0], 250);
    }
  });
}
finish([]);
