/**
 * The workers of churn.ts: each plays one role and then stays until it is terminated.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { Mapping, type MappingHandle, map, mapIntoWasm } from 'memmap';
import { Memory } from '../support/wasm.ts';

interface Data {
  role: 'attach' | 'close' | 'hold' | 'make' | 'memories' | 'nothing' | 'wasm';
  handles: MappingHandle[];
  files: { path: string; length: number }[];
  sizes: number[];
  shared?: boolean;
}

const { role, handles, files, sizes, shared = false } = workerData as Data;
const kept: unknown[] = [workerData];

function use(mapping: Mapping): Mapping {
  const bytes = new Uint8Array(mapping.buffer);
  bytes[0] = bytes[0] as number;
  kept.push(mapping);
  return mapping;
}

const roles: Record<Data['role'], () => unknown> = {
  attach: () => void handles.map((handle) => use(Mapping.attach(handle))),
  close() {
    for (const handle of handles) use(Mapping.attach(handle)).close();
    kept.length = 0;
    for (let i = 0; i < 200; i++) {
      for (const size of sizes) new Uint8Array(new SharedArrayBuffer(size)).fill(0xff);
    }
  },
  hold: () => undefined,
  make: () => files.map(({ path }) => use(map(path, { access: 'write', shared: true })).share()),
  memories: () => undefined,
  nothing: () => undefined,
  wasm: () =>
    files.map(({ path, length }) => {
      const pages = Math.ceil(length / 65536) + 1;
      const memory = new Memory({ initial: pages, maximum: pages, shared });
      use(mapIntoWasm(memory, path, { at: 65536, access: 'write' }));
      return shared ? memory : undefined;
    }),
};

parentPort?.postMessage(roles[role]());
parentPort?.on('message', (message) => void kept.push(message));
