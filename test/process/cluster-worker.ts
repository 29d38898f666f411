/**
 * A worker process of cluster.test.ts: `cluster-worker.js NAME ADDITIONS`; 0: until it is killed.
 */
import { SharedMemory } from 'memmap/shared';

const [name, additions] = process.argv.slice(2) as [string, string];
const memory = SharedMemory.open(name, { access: 'write' });
const counters = memory.view(Int32Array);
if (additions === '0') {
  Atomics.store(counters, 1, 1);
  for (;;) Atomics.add(counters, 2, 1);
}
for (let i = 0; i < Number(additions); i++) Atomics.add(counters, 0, 1);
memory.close();
process.disconnect?.();
