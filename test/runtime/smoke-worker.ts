/**
 * The workers of smoke.ts: each plays one role.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { Mapping, type MappingHandle, map } from 'memmap';

interface Data {
  role: 'add' | 'wait' | 'fault' | 'make';
  handle: MappingHandle;
  path: string;
  times: number;
}

const { role, handle, path, times } = workerData as Data;
const mapping =
  role === 'make' ? map(path, { access: 'write', shared: true }) : Mapping.attach(handle);

function play(): unknown {
  if (role === 'make') return mapping.share();
  const words = mapping.view(Int32Array);
  if (role === 'add') for (let i = 0; i < times; i++) Atomics.add(words, 0, 1);
  if (role === 'wait') return Atomics.wait(words, 0, 0, 30_000);
  if (role === 'fault') {
    try {
      mapping.guard(() => words[0]);
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    }
  }
  return 'done';
}

parentPort?.postMessage(play());
parentPort?.on('message', () => mapping.check()); // stays, with its mapping, until it is terminated
