/**
 * Faults that are not ours die as they would have died, and the engine's own still work.
 */
import assert from 'node:assert/strict';
import { truncateSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { map, pageSize } from 'memmap';
import { pendingFault, until } from '../support/fault.ts';
import { hazard } from '../support/hazard.ts';
import { lacksProbe, probe, probePath } from '../support/probe.ts';
import { temporaryFile } from '../support/temporary.ts';
import { instantiate, Memory } from '../support/wasm.ts';

const page = pageSize;

/** Installs the handlers, and shows that they work. */
function faultOnce(): void {
  const path = temporaryFile(4 * page);
  const mapping = map(path);
  truncateSync(path, page);
  assert.equal(mapping.bytes[2 * page], 0);
  pendingFault(mapping, 'ERR_MEMMAP_TRUNCATED');
}

/** Waits for a signal that was sent to arrive. */
const wait = () => new Promise<void>((resolve) => setTimeout(resolve, 10_000));

/** Runs code in a worker, with a mapping and the probe; rejects with its error. */
function inWorker(code: string): Promise<void> {
  const worker = new Worker(
    `const { map, pageSize } = require('memmap');
     const probe = process.argv[2] && require(process.argv[2]);
     const mapping = map(process.execPath);
     ${code}`,
    { eval: true, argv: [lacksProbe ? '' : probePath()] },
  );
  return new Promise((resolve, reject) => {
    worker.on('error', reject);
    worker.on('exit', () => resolve());
  });
}

for (const signal of ['SIGSEGV', 'SIGBUS'] as const) {
  hazard(
    `${signal} that somebody sends ends the process`,
    async () => {
      faultOnce();
      process.kill(process.pid, signal);
      await wait();
    },
    { signal },
  );
  hazard(
    `${signal} that a worker sends ends the process`,
    async () => {
      faultOnce();
      await inWorker(`process.kill(process.pid, '${signal}')`);
      await wait();
    },
    { signal },
  );
}

const segv = { signal: 'SIGSEGV', lacks: lacksProbe } as const;
const crashes: Record<string, string> = {
  'a load from NULL': 'probe.load(0n)',
  'a store to NULL': 'probe.store(0n, 1n)',
  'a load from a wild address': 'probe.load(0x123456789000n)',
  'a load from an address that is none': 'probe.load(0xdead000000000000n)',
  'a jump into a mapping': 'probe.jump(mapping.address)',
  'a jump behind the end of a mapping': 'probe.jump(mapping.address + (1n << 40n))',
  'a load behind the end of a mapping that was unmapped by others':
    'probe.unmap(mapping.address, BigInt(pageSize)); probe.load(mapping.address)',
};

for (const [what, code] of Object.entries(crashes)) {
  hazard(
    `${what} ends the process`,
    () => {
      faultOnce();
      const mapping = map(process.execPath);
      new Function('probe', 'mapping', 'pageSize', code)(probe(), mapping, page);
    },
    segv,
  );
  hazard(
    `${what} in a worker ends the process`,
    async () => {
      faultOnce();
      await inWorker(code);
    },
    segv,
  );
}

hazard(
  'a SIGBUS in the mapping of another library ends the process',
  () => {
    faultOnce();
    probe().foreign();
  },
  { signal: 'SIGBUS', lacks: lacksProbe },
);

hazard(
  'a handler that was there before is called for what is not ours',
  () => {
    const { handle, load } = probe();
    handle();
    faultOnce();
    load(0n);
  },
  { code: 42, lacks: lacksProbe },
);

hazard(
  'a handler that comes later and does not chain is warned of',
  async () => {
    faultOnce();
    probe().handle();
    const warnings: (Error & { code?: string })[] = [];
    process.on('warning', (warning) => warnings.push(warning));
    map(process.execPath);
    await until(() => warnings.length > 0);
    assert.equal(warnings[0]?.code, 'MEMMAP_HANDLERS_REPLACED');
  },
  { lacks: lacksProbe },
);

/** Loads behind the end of WebAssembly memory, many times. */
function trap(): void {
  const memory = new Memory({ initial: 1, maximum: 1 });
  const scanner = instantiate(memory);
  for (let round = 0; round < 500; round++) {
    assert.throws(() => scanner.sum(65_530 + (round % 6), 70_000), /out of bounds/i);
    assert.throws(() => scanner.store(65_536 + round * 4096, 1), /out of bounds/i);
  }
}

hazard('WebAssembly traps before and after the handlers are installed', () => {
  trap();
  faultOnce();
  trap();
  faultOnce();
});

hazard('WebAssembly traps first after the handlers are installed', () => {
  faultOnce();
  trap();
});

hazard('WebAssembly traps in workers, before and after', async () => {
  const code = `
    const bytes = new Uint8Array([0,97,115,109,1,0,0,0,1,6,1,96,1,127,1,127,3,2,1,0,5,3,1,0,1,
      7,8,1,4,108,111,97,100,0,0,10,9,1,7,0,32,0,40,2,0,11]);
    const { load } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
    let traps = 0;
    for (let i = 0; i < 500; i++) {
      try { load(65536 + i * 4096); } catch (error) {
        if (error instanceof WebAssembly.RuntimeError) traps++;
      }
    }
    if (traps !== 500) throw new Error('only ' + traps + ' traps');`;
  const plain = new Worker(code, { eval: true });
  await new Promise((resolve, reject) => plain.on('error', reject).on('exit', resolve));
  await inWorker(code);
  faultOnce();
  await Promise.all([inWorker(code), inWorker(code)]);
});

hazard('a stack that overflows is a RangeError, as ever', () => {
  faultOnce();
  const deeper = (): number => 1 + deeper();
  assert.throws(deeper, RangeError);
  faultOnce();
});

hazard(
  'abort() ends the process by SIGABRT',
  () => {
    faultOnce();
    process.abort();
  },
  { signal: 'SIGABRT' },
);
