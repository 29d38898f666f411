/**
 * What sharing costs: a 1 GiB mapping handed to a worker, and one file in eight processes.
 */
import { spawn } from 'node:child_process';
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Worker } from 'node:worker_threads';
import { map, pageSize } from 'memmap';
import { expectEqual, report } from './measure.ts';

const GiB = 2 ** 30;
const MiB = 2 ** 20;
const entry = JSON.stringify(import.meta.resolve('memmap'));

function residentBytes(): number {
  const status = readFileSync('/proc/self/status', 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
}

/** A worker that answers every handle by attaching, loading and closing, and every buffer. */
function startWorker(): Worker {
  return new Worker(
    `const { parentPort } = require('node:worker_threads');
     import(${entry}).then(({ Mapping }) => {
       parentPort.on('message', (message) => {
         if (message.memmap !== 1) return parentPort.postMessage(message[0]);
         const mapping = Mapping.attach(message);
         const byte = mapping.bytes[0];
         mapping.close();
         parentPort.postMessage(byte);
       });
       parentPort.postMessage('ready');
     });`,
    { eval: true },
  );
}

function answer(worker: Worker): Promise<unknown> {
  return new Promise((resolve) => worker.once('message', resolve));
}

/** Microseconds of postMessage itself, and milliseconds until the worker has loaded a byte. */
async function post(worker: Worker, message: () => unknown): Promise<{ us: number; ms: number }> {
  const start = process.hrtime.bigint();
  const answered = answer(worker);
  worker.postMessage(message());
  const posted = process.hrtime.bigint();
  expectEqual(await answered, 7, 'the byte that the worker loaded');
  return {
    us: Number(posted - start) / 1e3,
    ms: Number(process.hrtime.bigint() - start) / 1e6,
  };
}

async function postToWorker(path: string, rounds: number): Promise<void> {
  using mapping = map(path, { access: 'write', shared: true });
  mapping.bytes[0] = 7;
  const worker = startWorker();
  await answer(worker);
  const before = residentBytes();
  await post(worker, () => mapping.share());
  const grown = residentBytes() - before;
  const part = Buffer.alloc(64 * MiB, 7);
  await report(
    {
      work: 'postMessage to a worker, until postMessage returns',
      unit: 'us',
      limit: 'microseconds, and no memory',
      contenders: [
        {
          name: '1 GiB mapping.share()',
          run: async () => (await post(worker, () => mapping.share())).us,
        },
        { name: '64 MiB Buffer, copied', run: async () => (await post(worker, () => part)).us },
      ],
    },
    rounds,
  );
  console.log(`  resident memory grew by ${(grown / 1024).toFixed(0)} KiB for the 1 GiB mapping`);
  await worker.terminate();
}

/** Rss and Pss in MiB of a file's mapping in one of several processes that have loaded it all. */
async function proportionalSize(path: string, processes: number): Promise<[number, number]> {
  const source = `
    import { readFileSync } from 'node:fs';
    import { map, pageSize } from 'memmap';
    const mapping = map(${JSON.stringify(path)});
    const { bytes } = mapping;
    let sum = 0;
    for (let i = 0; i < bytes.length; i += pageSize) sum += bytes[i];
    console.log(sum);
    process.stdin.once('data', () => {
      const part = readFileSync('/proc/self/smaps', 'utf8').split(${JSON.stringify(path)})[1];
      const value = (name) => Number(new RegExp(name + ': *(\\\\d+)').exec(part)[1]) / 1024;
      console.log(value('Rss'), value('Pss'));
      process.exit();
    });`;
  const children = Array.from({ length: processes }, () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    return { child, lines: createInterface(child.stdout)[Symbol.asyncIterator]() };
  });
  for (const { lines } of children) {
    expectEqual((await lines.next()).value, String((256 * MiB) / pageSize), 'sum of a child');
  }
  const [first] = children;
  first?.child.stdin.write('count\n');
  const [rss, pss] = String((await first?.lines.next())?.value)
    .split(' ')
    .map(Number);
  for (const { child } of children) child.kill();
  return [rss as number, pss as number];
}

export async function run(directory: string, rounds: number): Promise<void> {
  const large = `${directory}/large`;
  writeFileSync(large, '');
  truncateSync(large, GiB);
  await postToWorker(large, rounds);
  const file = `${directory}/file`;
  writeFileSync(file, Buffer.alloc(256 * MiB, 1));
  console.log('\na file of 256 MiB, mapped and loaded by several processes  [MiB in each]');
  for (const processes of [1, 8]) {
    const [rss, pss] = await proportionalSize(file, processes);
    console.log(`  ${processes} processes: Rss ${rss.toFixed(1)}  Pss ${pss.toFixed(1)}`);
  }
  for (const path of [large, file]) rmSync(path, { force: true });
}
