import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anonymous, lockAll, map, pageSize, unlockAll } from 'memmap';
import { runModule } from '../support/child.ts';
import {
  asNobody,
  lacksCommand,
  lacksKernel,
  lacksRoot,
  needs,
  statusBytes,
} from '../support/machine.ts';
import { temporaryFile } from '../support/temporary.ts';

const kernel = needs(lacksKernel);
const length = 4 * pageSize;

test('locked pages are counted, in memory, and unlocked again', kernel, () => {
  const before = statusBytes('VmLck');
  const locked = () => statusBytes('VmLck') - before;
  for (const mapping of [anonymous(length), map(temporaryFile(length))]) {
    mapping.lock();
    assert.equal(locked(), length);
    assert.equal(mapping.residency().resident, 4);
    mapping.unlock();
    assert.equal(locked(), 0);
    mapping.close();
  }
});

test('locks do not nest', kernel, () => {
  const before = statusBytes('VmLck');
  using mapping = anonymous(length);
  mapping.lock();
  mapping.lock({ offset: pageSize, length: 1 });
  assert.equal(statusBytes('VmLck') - before, length);
  mapping.unlock();
  assert.equal(statusBytes('VmLck'), before);
  mapping.unlock();
});

test('a range is rounded outwards to pages', kernel, () => {
  const before = statusBytes('VmLck');
  using mapping = anonymous(length);
  mapping.lock({ offset: pageSize - 1, length: 2 });
  assert.equal(statusBytes('VmLck') - before, 2 * pageSize);
  mapping.unlock({ offset: pageSize + 5, length: 1 });
  assert.equal(statusBytes('VmLck') - before, pageSize);
  mapping.lock({ offset: 5, length: 0 });
  assert.equal(statusBytes('VmLck') - before, pageSize);
});

test('onFault locks pages when they come', kernel, () => {
  const before = statusBytes('VmLck');
  using mapping = anonymous(length);
  mapping.lock({}, { onFault: true });
  assert.equal(statusBytes('VmLck') - before, length);
  assert.equal(mapping.residency().resident, 0);
  mapping.bytes[0] = 1;
  assert.equal(mapping.residency().resident, 1);
  mapping.lock();
  assert.equal(mapping.residency().resident, 4);
});

test('closing and resizing take their locks along', kernel, () => {
  const before = statusBytes('VmLck');
  const mapping = anonymous(length);
  mapping.bytes.fill(3);
  mapping.lock({ length: 2 * pageSize });
  mapping.resize(2 * length);
  assert.equal(statusBytes('VmLck') - before, 2 * pageSize);
  assert.ok(mapping.window(0, length).every((byte) => byte === 3));
  mapping.resize(pageSize);
  assert.equal(statusBytes('VmLck') - before, pageSize);
  mapping.close();
  assert.equal(statusBytes('VmLck'), before);
});

/** In a child, as nobody, with a limit of 16 pages; it prints what its code logs. */
async function underLimit(source: string): Promise<string[]> {
  const program = `
    import assert from 'node:assert/strict';
    import { readFileSync } from 'node:fs';
    import { anonymous, lockAll, map, pageSize } from 'memmap';
    const locked = () =>
      Number(/VmLck:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
    const failure = (work) => {
      try { work(); } catch (error) { return error; }
      throw new Error('It did not fail');
    };
    ${source}`;
  const limit = 16 * pageSize;
  const prefix = [...asNobody, 'prlimit', `--memlock=${limit}:${limit}`];
  const { code, signal, stdout, stderr } = await runModule(program, { prefix });
  assert.deepEqual([code, signal, stderr], [0, null, '']);
  return stdout.trimEnd().split('\n');
}

const limited = needs(lacksKernel, lacksRoot, !lacksRoot && lacksCommand('setpriv', 'prlimit'));

test('a lock beyond the limit says so, and locks nothing', limited, async () => {
  const [code, hint] = await underLimit(`
    const mapping = anonymous(64 * pageSize);
    const error = failure(() => mapping.lock());
    assert.equal(locked(), 0);
    mapping.bytes.fill(1);
    console.log(error.code);
    console.log(error.hint);`);
  assert.match(String(code), /^(ENOMEM|EAGAIN)$/);
  assert.match(String(hint), new RegExp(`RLIMIT_MEMLOCK is ${16 * pageSize} bytes`));
});

test('and leaves exactly what was locked before', limited, async () => {
  await underLimit(`
    const mapping = anonymous(64 * pageSize);
    mapping.lock({ offset: 4 * pageSize, length: 4 * pageSize });
    mapping.lock({ offset: 20 * pageSize, length: 4 * pageSize }, { onFault: true });
    assert.equal(locked(), 8 * pageSize);
    for (const options of [{}, { onFault: true }]) {
      failure(() => mapping.lock({}, options));
      assert.equal(locked(), 8 * pageSize);
      failure(() => mapping.lock({ offset: 2 * pageSize, length: 20 * pageSize }, options));
      assert.equal(locked(), 8 * pageSize);
    }
    mapping.unlock({ offset: 4 * pageSize, length: 4 * pageSize });
    assert.equal(locked(), 4 * pageSize);
    mapping.unlock();
    assert.equal(locked(), 0);`);
});

test('the option locked fails as a whole', limited, async () => {
  await underLimit(`
    const maps = () => readFileSync('/proc/self/maps', 'utf8').split('\\n').length;
    anonymous(1).close(); // the first one makes what the library itself needs
    const before = maps();
    for (let i = 0; i < 100; i++) {
      const error = failure(() => anonymous(64 * pageSize, { locked: true }));
      assert.match(error.hint, /RLIMIT_MEMLOCK/);
    }
    assert.equal(locked(), 0);
    assert.ok(maps() - before < 20);
    anonymous(16 * pageSize, { locked: true });
    assert.equal(locked(), 16 * pageSize);`);
});

test('a resize beyond the limit of locks changes nothing', limited, async () => {
  await underLimit(`
    for (const capacity of [undefined, 64 * pageSize]) {
      const mapping = anonymous(8 * pageSize, { locked: true, capacity });
      mapping.bytes.fill(7);
      assert.match(failure(() => mapping.resize(32 * pageSize)).hint, /RLIMIT_MEMLOCK/);
      assert.equal(mapping.byteLength, 8 * pageSize);
      assert.equal(locked(), 8 * pageSize);
      assert.ok(mapping.bytes.every((byte) => byte === 7));
      mapping.close();
      assert.equal(locked(), 0);
    }`);
});

test('lockAll beyond the limit', limited, async () => {
  const [code, hint] = await underLimit(`
    const error = failure(() => lockAll());
    assert.equal(locked(), 0);
    console.log(error.code);
    console.log(error.hint);`);
  assert.match(String(code), /^(ENOMEM|EPERM)$/);
  assert.match(String(hint), /RLIMIT_MEMLOCK/);
});

test('lockAll of what comes, and unlockAll', needs(lacksKernel, lacksRoot), async () => {
  const { code, stderr } = await runModule(`
    import assert from 'node:assert/strict';
    import { readFileSync } from 'node:fs';
    import { anonymous, lockAll, pageSize, unlockAll } from 'memmap';
    const locked = () =>
      Number(/VmLck:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
    lockAll({ current: false, future: true });
    const mapping = anonymous(8 * pageSize);
    assert.equal(mapping.residency().resident, 8);
    unlockAll();
    assert.equal(locked(), 0);
    mapping.lock();
    assert.equal(locked(), 8 * pageSize);
    unlockAll();
    assert.equal(locked(), 0);
    mapping.lock();
    assert.equal(locked(), 8 * pageSize);
    lockAll({ current: true, future: false, onFault: true });
    assert.ok(locked() > 100 * pageSize);
    unlockAll();`);
  assert.deepEqual([code, stderr], [0, '']);
});

test(
  'lockAll leaves the engine what it must give back',
  needs(lacksKernel, lacksRoot),
  async () => {
    for (const options of [
      '',
      '{ future: true }',
      '{ onFault: true }',
      '{ future: true, onFault: true }',
    ]) {
      const { code, signal, stderr } = await runModule(`
      import assert from 'node:assert/strict';
      import { once } from 'node:events';
      import { Worker } from 'node:worker_threads';
      import { anonymous, lockAll } from 'memmap';
      const kept = [anonymous(2 ** 20), anonymous(2 ** 20, { shared: true })];
      for (const mapping of kept) mapping.bytes.fill(1);
      lockAll(${options});
      let garbage = [];
      for (let i = 0; i < 100; i++) {
        garbage.push(new Array(100_000).fill(i), new Function('x', 'return x + ' + i)(i));
        if (i % 20 === 19) {
          garbage = [];
          globalThis.gc?.();
        }
      }
      const later = anonymous(2 ** 20, { shared: true });
      later.bytes.fill(2);
      const worker = new Worker('for (let i = 0; i < 50; i++) new Array(100_000).fill(i)', { eval: true });
      await once(worker, 'exit');
      later.close();
      for (const mapping of kept) assert.equal(mapping.bytes[4096], 1);`);
      assert.deepEqual([stderr, code, signal], ['', 0, null], options);
    }
  },
);

test('lockAll keeps a mapping locked through a fault', needs(lacksKernel), async () => {
  const path = temporaryFile(4 * pageSize);
  const { code, stderr } = await runModule(
    `
    import assert from 'node:assert/strict';
    import { lockAll, map, unlockAll } from 'memmap';
    const mapping = map(process.argv[1]);
    try { lockAll({ onFault: true }); } catch (error) {
      assert.match(error.hint, /RLIMIT_MEMLOCK/);
      process.exit(0);
    }
    mapping.bytes[0] = 1;
    assert.throws(() => mapping.check(), { code: 'ERR_MEMMAP_READ_ONLY' });
    const { kernelMapping } = await import(process.argv[2]);
    assert.ok(kernelMapping(mapping.address).flags.includes('lo'));
    unlockAll();
    assert.ok(!kernelMapping(mapping.address).flags.includes('lo'));`,
    { args: [path, new URL('../support/machine.js', import.meta.url).href] },
  );
  assert.deepEqual([stderr, code], ['', 0]);
});

test('lockAll refuses wrong options by name', () => {
  for (const name of ['current', 'future', 'onFault']) {
    const message = new RegExp(`"options\\.${name}"`);
    assert.throws(() => lockAll({ [name]: 1 }), { code: 'ERR_INVALID_ARG_TYPE', message });
  }
  assert.throws(() => lockAll({ current: false }), { code: 'ERR_INVALID_ARG_TYPE' });
  unlockAll();
});
