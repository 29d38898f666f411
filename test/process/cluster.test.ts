import assert from 'node:assert/strict';
import cluster, { type Worker } from 'node:cluster';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { pageSize } from 'memmap';
import { SharedMemory } from 'memmap/shared';
import { runtime } from '../runtime/runtime.ts';
import { until } from '../support/fault.ts';
import { needs } from '../support/machine.ts';

const exec = fileURLToPath(new URL('./cluster-worker.js', import.meta.url));
const lacksCluster = runtime === 'deno' && 'Deno has no node:cluster';
const additions = process.env.MEMMAP_EMULATED ? 10_000 : 500_000;

function start(name: string, count: number): Worker {
  cluster.setupPrimary({ exec, args: [name, String(count)] });
  return cluster.fork();
}

/** Resolves to the signal that ended it, or its exit code. */
function endOf(worker: Worker): Promise<number | string | null> {
  const watchdog = setTimeout(() => worker.process.kill('SIGABRT'), 60_000);
  return new Promise((resolve) => {
    worker.once('exit', (code, signal) => {
      clearTimeout(watchdog);
      resolve(signal ?? code);
    });
  });
}

test('workers of a cluster add into one memory; one that is killed takes nothing with it', {
  ...needs(lacksCluster),
}, async () => {
  const name = `/memmap-cluster-${process.pid}`;
  using memory = SharedMemory.create(name, pageSize);
  try {
    const counters = memory.view(Int32Array);
    const victim = start(name, 0);
    const killed = endOf(victim);
    const endings = [1, 2, 3].map(() => endOf(start(name, additions)));
    await until(() => Atomics.load(counters, 1) === 1);
    victim.process.kill('SIGKILL');
    assert.equal(await killed, 'SIGKILL');
    assert.deepEqual(await Promise.all(endings), [0, 0, 0]);
    assert.equal(counters[0], 3 * additions);
    assert.ok((counters[2] as number) > 0);
  } finally {
    SharedMemory.unlink(name);
  }
});
