/**
 * Memory that the library only borrows (under a growable SharedArrayBuffer, or a WebAssembly.Memory)
 * is given back while another thread stores into it: a store that has faulted on the old pages finds
 * the new ones, and is no signal for anybody else.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { runModule } from '../support/child.ts';
import { pattern, temporaryFile } from '../support/temporary.ts';

const length = 100_000;

async function inChild(path: string, source: string): Promise<void> {
  const program = `
    import { Worker } from 'node:worker_threads';
    import { map, mapIntoWasm } from 'memmap';
    const path = process.argv[1];
    const until = performance.now() + 2000;
    ${source}
    console.log('passed');
    process.removeAllListeners('exit');
    process.reallyExit(0);`;
  const { code, signal, stdout, stderr } = await runModule(program, { args: [path] });
  assert.deepEqual([code, signal, stdout], [0, null, 'passed\n'], stderr);
}

test('a shared mapping is closed while a worker stores into its buffer', async () => {
  const path = temporaryFile(pattern(length));
  await inChild(
    path,
    `
    let faults = 0;
    process.on('uncaughtException', (error) => { // stores after the close are faults, too
      if (error.name !== 'FaultError') throw error;
      faults++;
    });
    const worker = new Worker(\`
      import('node:worker_threads').then(({ parentPort }) => {
        const buffers = [];
        const store = () => {
          for (const buffer of buffers) {
            const bytes = new Uint8Array(buffer, 0, 90_000);
            for (let i = 0; i < bytes.length; i += 512) bytes[i] = 1;
          }
          setImmediate(store);
        };
        parentPort.on('message', (buffer) => {
          buffers.push(buffer);
          if (buffers.length > 8) buffers.shift();
        });
        store();
      });\`, { eval: true });
    for (let round = 0; performance.now() < until; round++) {
      const mapping = map(path, { access: 'read', shared: true });
      mapping.on('fault', () => faults++);
      worker.postMessage(mapping.buffer);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
      mapping.close();
      if (round % 50 === 0) gc();
    }
    if (faults === 0) throw new Error('nothing was stored');`,
  );
  assert.deepEqual(readFileSync(path), pattern(length));
});

test('a file leaves a shared WebAssembly.Memory while a worker stores there', async () => {
  const path = temporaryFile(pattern(length));
  await inChild(
    path,
    `
    const memory = new WebAssembly.Memory({ initial: 4, maximum: 64, shared: true });
    const worker = new Worker(\`
      import('node:worker_threads').then(({ workerData }) => {
        const bytes = new Uint8Array(workerData.buffer);
        for (let i = 0; ; i++) bytes[i % 100_000] = i;
      });\`, { eval: true, workerData: memory });
    const bytes = new Uint8Array(memory.buffer);
    while (bytes[99_999] === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    for (let round = 0; performance.now() < until; round++) {
      const mapping = mapIntoWasm(memory, path, { at: 0 });
      mapping.on('fault', () => {});
      mapping.close();
      if (round % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }`,
  );
  assert.deepEqual(readFileSync(path), pattern(length));
});
