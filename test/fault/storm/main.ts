/**
 * The storm's process. Run with the path of a file that it may use and the seconds; prints what it
 * saw as one line of JSON.
 */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { map, pageSize } from 'memmap';
import { instantiate, Memory } from '../../support/wasm.ts';
import { firstWrong, random, rightBytes } from './content.ts';
import { type Met, Rounds } from './rounds.ts';
import type { StormData } from './worker.ts';

export interface Told {
  met: Met;
  closed: Record<string, number>;
  closes: number;
}
export interface Summary {
  cuts: number;
  threads: number;
  terminated: number;
  longestTurnMs: number;
  main: Told;
  workers: Told[];
}

const [path, seconds] = process.argv.slice(2) as [string, string];
const size = 512 * pageSize + 123;
writeFileSync(path, rightBytes(0, size));

const shared = map(path, { access: 'write', shared: true });
const handle = shared.share();
const rounds = new Rounds(path, shared);
const scanner = instantiate(new Memory({ initial: 1, maximum: 1 }));
const end = Date.now() + Number(seconds) * 1000;
let threads = 0;
let terminated = 0;

function start(kind: StormData['kind']): Worker {
  threads++;
  const workerData: StormData = { kind, path, handle };
  const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData });
  worker.on('error', (error) => {
    throw error;
  });
  return worker;
}

async function terminateMany(): Promise<void> {
  while (Date.now() < end) {
    const worker = start('doomed');
    await new Promise((resolve) => setTimeout(resolve, 20 + random(200)));
    await worker.terminate();
    terminated++;
  }
}

async function workHere(): Promise<number> {
  let longest = 0;
  let before = performance.now();
  while (Date.now() < end) {
    rounds.run();
    assert.throws(() => scanner.sum(65_530, 70_000), /out of bounds/i);
    await new Promise((resolve) => setImmediate(resolve));
    const now = performance.now();
    longest = Math.max(longest, now - before);
    before = now;
  }
  return longest;
}

const cutter = fork(new URL('./cutter.js', import.meta.url), [path, String(size)], {
  execArgv: [],
});
const workers = [start('rounds'), start('rounds'), start('churn')];
const [longest] = await Promise.all([workHere(), terminateMany()]);

cutter.send('stop');
const [{ cuts }] = (await once(cutter, 'message')) as [{ cuts: number }];
for (const worker of workers) {
  worker.postMessage('stop');
  await once(worker, 'message');
}
assert.equal(firstWrong(readFileSync(path)), -1, 'a store that must not reach the file');
writeFileSync(path, rightBytes(0, size), { flag: 'r+' });
rounds.verify();
const told: Told[] = [];
for (const worker of workers) {
  worker.postMessage('verify');
  told.push(((await once(worker, 'message')) as [Told])[0]);
}
const summary: Summary = {
  cuts,
  threads,
  terminated,
  longestTurnMs: Math.round(longest),
  main: { met: rounds.met, closed: {}, closes: 0 },
  workers: told,
};
console.log(JSON.stringify(summary));
