import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { anonymous } from 'memmap';
import { runModule } from '../support/child.ts';
import { isEmulated, lacksCommand, lacksKernel, lacksRoot, needs } from '../support/machine.ts';
import { temporaryFile } from '../support/temporary.ts';

const limited = needs(lacksKernel, lacksCommand('prlimit'));
const path = temporaryFile(10);

async function underLimit(limits: string[], source: string): Promise<void> {
  const program = `
    import assert from 'node:assert/strict';
    import { readFileSync, statSync } from 'node:fs';
    import { anonymous, map, pageSize } from 'memmap';
    const path = process.argv[1];
    ${source}
    console.log('passed');`;
  const prefix = limits.length > 0 ? ['prlimit', ...limits] : [];
  const { code, signal, stdout, stderr } = await runModule(program, { prefix, args: [path] });
  assert.deepEqual([code, signal, stderr, stdout], [0, null, '', 'passed\n']);
}

test('address space (RLIMIT_AS)', limited, async () => {
  const bytes = 8 * 2 ** 30;
  await underLimit(
    [`--as=${bytes}`],
    `
    const hint = /RLIMIT_AS allows ${bytes} bytes/;
    assert.throws(() => anonymous(${bytes}, { noReserve: true }), { code: 'ENOMEM', hint });
    assert.throws(() => anonymous(1, { capacity: ${bytes} }), { code: 'ENOMEM', hint });
    const mapping = anonymous(pageSize);
    mapping.bytes.fill(1);
    assert.throws(() => mapping.resize(${bytes}), { code: 'ENOMEM', hint });
    assert.ok(mapping.bytes.every((byte) => byte === 1));`,
  );
});

test('a file is as it was when its mapping finds no address space', limited, async () => {
  const bytes = 8 * 2 ** 30;
  await underLimit(
    [`--as=${bytes}`],
    `
    const mapping = map(path, { access: 'write' });
    const options = { access: 'write', extend: true, length: 20, capacity: ${bytes} };
    assert.throws(() => map(path, options), { code: 'ENOMEM' });
    assert.equal(statSync(path).size, 10);
    assert.equal(mapping.bytes.length, 10);`,
  );
});

test('nor is one made or grown for a SharedArrayBuffer that finds none', limited, async () => {
  const bytes = 3 * 2 ** 30; // less than the largest buffer, and more than is left
  await underLimit(
    ['--as=3000000000'],
    `
    const length = ${bytes};
    const options = { access: 'write', create: true, extend: true, length, shared: true };
    assert.throws(() => map(path, options), { code: 'ENOMEM' });
    assert.equal(statSync(path).size, 10);
    assert.throws(() => map(path + '.new', options), { code: 'ENOMEM' });
    assert.throws(() => statSync(path + '.new'), { code: 'ENOENT' });
    const mapping = map(path, { ...options, length: 20, capacity: 65536 });
    mapping.bytes[19] = 1;
    assert.equal(statSync(path).size, 20);
    mapping.resize(10);`,
  );
});

test('open files (RLIMIT_NOFILE)', limited, async () => {
  await underLimit(
    ['--nofile=64:64'],
    `
    const mappings = [];
    const fill = () => {
      for (;;) mappings.push(map(path));
    };
    assert.throws(fill, { code: 'EMFILE', path, hint: /RLIMIT_NOFILE/ });
    assert.ok(mappings.length > 10);
    anonymous(pageSize).bytes.fill(1);
    assert.throws(fill, { code: 'EMFILE' });
    mappings.pop().close();
    mappings.push(map(path));
    assert.ok(mappings.every((mapping) => mapping.bytes.length === 10));`,
  );
});

test('the size of files (RLIMIT_FSIZE)', limited, async () => {
  await underLimit(
    [],
    `
    import { spawnSync } from 'node:child_process';
    const limit = (bytes) =>
      spawnSync('prlimit', ['--pid', String(process.pid), '--fsize=' + bytes + ':']);
    const mapping = map(path, { access: 'write' });
    limit(65536); // now: Deno writes larger files of its own
    for (const length of [100_000, 2 ** 33]) {
      assert.throws(() => mapping.resize(length), { code: 'EFBIG', path });
      assert.throws(() => map(path, { access: 'write', extend: true, length }), { code: 'EFBIG' });
    }
    limit('unlimited');
    assert.equal(statSync(path).size, 10);
    assert.equal(mapping.bytes.length, 10);`,
  );
});

const isCounted = Number(readFileSync('/proc/sys/vm/max_map_count', 'utf8')) <= 100_000;
const countable = needs(lacksKernel, !isCounted && 'vm.max_map_count is too high to be reached');

test('mappings (vm.max_map_count)', countable, async () => {
  await underLimit(
    [],
    `
    const pages = 2 * Number(readFileSync('/proc/sys/vm/max_map_count', 'utf8'));
    const mapping = anonymous(pages * pageSize, { noReserve: true });
    mapping.window(0, 10).fill(7);
    let failure;
    try {
      for (let page = 1; page < pages; page += 2) {
        mapping.protect('read', { offset: page * pageSize, length: pageSize });
      }
    } catch (error) {
      // V8 needs some as well, or it ends the process.
      mapping.protect('write', { offset: 100 * pageSize, length: 10_000 * pageSize });
      failure = error;
    }
    assert.equal(failure.code, 'ENOMEM');
    assert.match(failure.hint, /vm\\.max_map_count is \\d+: close some/);
    assert.equal(mapping.window(0, 10)[9], 7);
    assert.equal(mapping.write(Buffer.from('x')), 1);
    const store = () => mapping.write(Buffer.from('x'), pageSize);
    assert.throws(store, { code: 'ERR_MEMMAP_READ_ONLY' });
    mapping.protect('write');
    mapping.close();
    assert.equal(map(path).bytes.length, 10);`,
  );
});

const lockable = lacksRoot ? needs(lacksRoot) : countable;

for (const [what, step] of Object.entries({
  protect: "protect('read', range)",
  advise: "advise('dontdump', range)",
  lock: 'lock(range)',
})) {
  test(
    `the rest of the process has mappings left when ${what} has used up its own`,
    what === 'lock' ? lockable : countable,
    async () => {
      await underLimit(
        [],
        `
      const pages = 2 * Number(readFileSync('/proc/sys/vm/max_map_count', 'utf8'));
      const mapping = anonymous(pages * pageSize, { noReserve: true });
      let failure;
      try {
        for (let page = 1; page < pages; page += 2) {
          const range = { offset: page * pageSize, length: pageSize };
          mapping.${step};
        }
      } catch (error) {
        failure = error;
      }
      assert.equal(failure.code, 'ENOMEM');
      assert.match(failure.hint, /vm\\.max_map_count is \\d+: close some/);
      assert.throws(() => map(path), { code: 'ENOMEM' });
      let garbage = [];
      for (let i = 0; i < 300; i++) {
        garbage.push(new Array(100_000).fill(i));
        if (garbage.length === 50) garbage = [];
      }
      mapping.close();
      assert.equal(map(path).bytes.length, 10);`,
      );
    },
  );
}

test('more than the system promises', needs(isEmulated && 'the emulator promises anything'), () => {
  const mode = readFileSync('/proc/sys/vm/overcommit_memory', 'utf8').trim();
  const hint = new RegExp(`vm\\.overcommit_memory is ${mode}|RLIMIT_AS`);
  assert.throws(() => anonymous(2 ** 52), { code: 'ENOMEM', syscall: 'mmap', hint });
  if (mode !== '0') return;
  assert.throws(() => anonymous(2 ** 44), { code: 'ENOMEM', hint: /noReserve/ });
  anonymous(2 ** 44, { noReserve: true }).close();
});
