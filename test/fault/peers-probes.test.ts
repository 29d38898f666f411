/**
 * The probes that kill every other mapping library of Node (docs: the comparison), against this
 * one. Each prints a row: probe | what happens here.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, truncateSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { anonymous, type FaultError, map, pageSize } from 'memmap';
import { collect } from '../runtime/runtime.ts';
import { countMappings, pendingFault, until } from '../support/fault.ts';
import { hazard } from '../support/hazard.ts';
import { collected } from '../support/machine.ts';
import { pattern, temporaryFile } from '../support/temporary.ts';

const size = 16 * pageSize;
const content = pattern(size);

/** A probe: its body says what happened, and the row is printed when it has survived. */
function probe(name: string, body: () => string | Promise<string>): void {
  hazard(`probe: ${name}`, async () => console.log(`${name} | ${await body()}`), {
    check: ({ stdout }) => console.log(`memmap | ${stdout.trim()}`),
  });
}

const said = (fault: FaultError) => `${fault.name} ${fault.code}`;

probe('1 write to a read-only mapping', () => {
  const mapping = map(temporaryFile(content));
  mapping.bytes[0] = 1;
  const fault = pendingFault(mapping, 'ERR_MEMMAP_READ_ONLY');
  assert.ok(mapping.bytes.equals(content));
  assert.ok(readFileSync(mapping.path as string).equals(content));
  return `${said(fault)}, the file is unchanged`;
});

probe('2 file truncated, then read', () => {
  const path = temporaryFile(content);
  const mapping = map(path);
  truncateSync(path, 0);
  assert.equal(mapping.bytes[size - 1], 0);
  return `${said(pendingFault(mapping, 'ERR_MEMMAP_TRUNCATED'))}, zeros`;
});

probe('3 read after unmap', () => {
  const mapping = map(temporaryFile(content));
  const { bytes } = mapping;
  mapping.close();
  assert.equal(bytes[0], undefined);
  assert.equal(bytes.length, 0);
  return 'undefined, length 0';
});

probe('3 read after unmap, shared', async () => {
  const mapping = map(temporaryFile(content), { shared: true, access: 'write' });
  const faults: FaultError[] = [];
  mapping.on('fault', (fault) => faults.push(fault));
  const bytes = new Uint8Array(mapping.buffer);
  mapping.close();
  assert.equal(bytes[1], 0);
  bytes[1] = 1;
  await until(() => faults.length > 0);
  return `zeros; a store: ${said(faults[0] as FaultError)}`;
});

probe('3b double unmap', () => {
  const mapping = map(temporaryFile(content));
  mapping.close();
  mapping.close();
  return 'nothing happens';
});

probe('6 slice kept, mapping dropped, collected', async () => {
  const make = () => map(temporaryFile(content)).bytes.subarray(pageSize, 2 * pageSize);
  const slice = make();
  for (let i = 0; i < 10; i++) {
    collect();
    Array.from({ length: 1000 }, () => Buffer.alloc(1000));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  assert.ok(slice.equals(content.subarray(pageSize, 2 * pageSize)));
  return 'the slice keeps the mapping';
});

probe('2000 maps never unmapped, collected', async () => {
  const path = temporaryFile(content);
  const before = countMappings();
  const open = () => {
    for (let i = 0; i < 2000; i++) assert.equal(map(path).window(0, 1)[0], content[0]);
  };
  open();
  const live = countMappings() - before;
  const isGone = await collected(() => countMappings() - before < 50);
  const left = countMappings() - before;
  assert.ok(isGone, `${live} mappings became ${left}`);
  return `${live} live, then ${Math.max(0, left)}`;
});

probe('8 three workers, and terminate', async () => {
  const path = temporaryFile(content);
  const work = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { map } = require('memmap');
    const mapping = map(workerData, { access: 'write' });
    const { bytes } = mapping;
    parentPort.postMessage(bytes[7]);
    if (!process.argv.includes('ends')) for (let i = 0; ; i++) bytes[i % bytes.length] ^= 1;`;
  for (const end of ['ends', 'terminated']) {
    for (let round = 0; round < 3; round++) {
      const options = { eval: true, workerData: path, argv: [end] };
      const workers = Array.from({ length: 3 }, () => new Worker(work, options));
      const exits = workers.map((worker) => once(worker, 'exit'));
      await Promise.all(workers.map((worker) => once(worker, 'message')));
      if (end === 'terminated') await Promise.all(workers.map((worker) => worker.terminate()));
      await Promise.all(exits);
    }
  }
  return 'ok';
});

probe('two threads, one memory', async () => {
  const mapping = anonymous(size, { shared: true });
  const worker = new Worker(
    `const { workerData } = require('node:worker_threads');
     const { Mapping } = require('memmap');
     Mapping.attach(workerData).bytes.write('seen');`,
    { eval: true, workerData: mapping.share() },
  );
  await once(worker, 'exit');
  assert.equal(mapping.bytes.toString('latin1', 0, 4), 'seen');
  return 'a store is seen by the other thread';
});
