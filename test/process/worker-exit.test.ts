/**
 * Threads that end in the middle of things: of loads and stores that fault, of work off the event
 * loop, of a guard; and a process that ends while its threads are at it.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, truncateSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { Mapping, map, pageSize } from 'memmap';
import type { Ending } from '../support/child.ts';
import { countMappings } from '../support/fault.ts';
import { hazard } from '../support/hazard.ts';
import { collected, openDescriptors } from '../support/machine.ts';
import { pattern, temporaryFile } from '../support/temporary.ts';

const page = pageSize;
const size = 2048 * page;

const preamble = `
  const { parentPort, workerData, threadId } = require('node:worker_threads');
  const { Mapping, anonymous, map, pageSize } = require('memmap');
  const { truncateSync } = require('node:fs');
  const { path, size, handle } = workerData;
  const ready = () => parentPort.postMessage('ready');
  const quietly = (run) => { try { return run(); } catch {} };`;

/** What a thread does until it is ended. */
const doings: Record<string, string> = {
  'in the middle of loads and stores': `
    const { bytes } = map(path, { access: 'write' });
    ready();
    for (let i = 0; ; i = (i + 4097) % size) bytes[i] ^= 1;`,
  'in the middle of faults': `
    const mapping = map(path);
    const cut = map(path, { access: 'write' });
    ready();
    for (let i = 0; ; i++) {
      mapping.bytes[i % size] = 1;
      quietly(() => mapping.check());
      truncateSync(path, i % 3 * 4096 * 600);
      cut.bytes[size - 1] = 1;
      quietly(() => cut.check());
      truncateSync(path, size);
    }`,
  'in the middle of a guard': `
    const mapping = map(path);
    ready();
    mapping.guard(() => { for (let i = 0; ; i++) mapping.bytes[i % size] = 1; });`,
  'with faults that nobody has seen': `
    const mapping = map(path);
    mapping.on('fault', () => {});
    ready();
    for (let i = 0; ; i++) mapping.bytes[i % size] = 1;`,
  'in the middle of prefetch, flush and evict': `
    const mapping = map(path, { access: 'write' });
    mapping.bytes.fill(threadId);
    const work = (name) => mapping[name]().catch(() => {}).then(() => work(name));
    for (const name of ['prefetch', 'flush', 'evict', 'prefetch', 'flush', 'evict']) work(name);
    ready();`,
  'in the middle of work that is cancelled': `
    const mapping = map(path, { access: 'write' });
    ready();
    setInterval(() => {
      const control = new AbortController();
      mapping.bytes.fill(threadId);
      const options = { signal: control.signal, onProgress() { control.abort(); } };
      for (const name of ['flush', 'prefetch']) mapping[name]({}, options).catch(() => {});
      mapping.prefetch({}, options).catch(() => {});
    }, 1);`,
  'while it maps and closes': `
    ready();
    for (let i = 0; ; i++) {
      const mapping = i % 3 === 0 ? anonymous(1 << 20) : map(path, { shared: i % 3 === 1 });
      mapping.window(0, 10)[0];
      if (i % 2) mapping.close();
    }`,
  'while it resizes': `
    const mapping = anonymous(1 << 20);
    ready();
    for (let i = 0; ; i++) { mapping.resize(((i % 9) + 1) << 16); mapping.bytes.fill(i); }`,
  'with a mapping of this thread': `
    const mapping = Mapping.attach(handle);
    mapping.on('fault', () => {});
    ready();
    for (let i = 0; ; i = (i + 4097) % size) mapping.bytes[i] = 1;`,
  'while others read what it maps': `
    import('memmap/inspect').then(({ addressSpaceAsync }) => {
      ready();
      const again = () => addressSpaceAsync().then(again, again);
      for (let i = 0; i < 20; i++) again();
    });`,
  'at once': 'ready();',
};

interface Data {
  path: string;
  size: number;
  handle?: ReturnType<Mapping['share']>;
}

/**
 * Not from the script itself: Node 20 aborts now and then when a script is ended while its error is
 * decorated (an assertion of its own in AppendExceptionLine), which no callback's is.
 */
function start(code: string, workerData: Data): Worker {
  const source = `${preamble}\nsetImmediate(() => {${code}\n});`;
  return new Worker(source, { eval: true, workerData });
}

for (const [what, code] of Object.entries(doings)) {
  hazard(`a worker is terminated ${what}`, async () => {
    const content = pattern(size);
    const path = temporaryFile(content);
    const shared = map(path, { access: 'write', shared: true });
    const own = map(temporaryFile(content));
    const data = { path, size, handle: shared.share() };
    const startAndEnd = async (round: number) => {
      const workers = [start(code, data), start(code, data)];
      await Promise.all(workers.map((worker) => once(worker, 'message')));
      await new Promise((resolve) => setTimeout(resolve, round * 3));
      await Promise.all(workers.map((worker) => worker.terminate()));
    };
    await startAndEnd(1);
    await collected(() => false);
    const before = { mappings: countMappings(), descriptors: openDescriptors() };
    for (let round = 0; round < 4; round++) await startAndEnd(round);
    await collected(() => openDescriptors() <= before.descriptors);
    const after = { mappings: countMappings(), descriptors: openDescriptors() };
    // This thread's mappings are as good as before.
    assert.ok(own.bytes.equals(content));
    truncateSync(path, 0);
    truncateSync(path, size);
    shared.bytes.fill(1);
    assert.ok(readFileSync(path).every((byte) => byte === 1));
    shared.check();
    own.check();
    const text = `${JSON.stringify(before)} became ${JSON.stringify(after)}`;
    assert.ok(after.descriptors <= before.descriptors + 2, text);
    assert.ok(after.mappings <= before.mappings + 60, text);
  });

  hazard(
    `process.exit() while workers are ended ${what}`,
    async () => {
      const path = temporaryFile(pattern(size));
      const shared = map(path, { access: 'write', shared: true });
      const data = { path, size, handle: shared.share() };
      const workers = Array.from({ length: 4 }, () => start(code, data));
      for (const worker of workers) worker.on('error', () => {});
      await Promise.all(workers.map((worker) => once(worker, 'message')));
      process.exit(7);
    },
    { code: 7, finishes: false },
  );
}

/** A thread that stores where it must not and never looks, nor lets its event loop turn. */
const stray = `
  map(path).bytes[3] = 1;
  ready();
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);`;
const told = /undelivered fault: ERR_MEMMAP_READ_ONLY: Cannot write byte 3/;
const tells = { check: ({ stderr }: Ending) => assert.match(stderr, told) };

hazard(
  'a fault that a terminated worker could not tell is printed',
  async () => {
    const data = { path: temporaryFile(pattern(size)), size };
    const worker = start(stray, data);
    await once(worker, 'message');
    await worker.terminate();
  },
  tells,
);

hazard(
  'a fault that a worker could not tell before process.exit() is printed',
  async () => {
    const data = { path: temporaryFile(pattern(size)), size };
    await once(start(stray, data), 'message');
    process.exit(7);
  },
  { ...tells, code: 7, finishes: false },
);

hazard('what a terminated worker had shared stays for those who have it', async () => {
  const path = temporaryFile(pattern(size));
  const worker = new Worker(
    `${preamble}
     const mapping = map(path, { access: 'write', shared: true });
     parentPort.postMessage(mapping.share());
     setInterval(() => {}, 1000);`,
    { eval: true, workerData: { path, size } },
  );
  const [handle] = await once(worker, 'message');
  const mapping = Mapping.attach(handle);
  await worker.terminate();
  await collected(() => false);
  mapping.bytes[5] = 99;
  mapping.check();
  assert.equal(readFileSync(path)[5], 99);
});
