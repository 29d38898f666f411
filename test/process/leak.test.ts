import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runModule } from '../support/child.ts';
import { isEmulated, lacksKernel, needs } from '../support/machine.ts';
import { temporaryFile } from '../support/temporary.ts';

const rounds = isEmulated ? 1000 : 100_000;
const path = temporaryFile(20_000);

/** Runs `use` many times in a child, where descriptors, mappings and memory must stay flat. */
async function isFlat(use: string): Promise<void> {
  const source = `
    import assert from 'node:assert/strict';
    import { readFileSync, readdirSync } from 'node:fs';
    import { anonymous, map, pageSize } from 'memmap';
    const path = process.argv[1];
    const use = (i) => { ${use} };
    const status = () => {
      const text = readFileSync('/proc/self/status', 'utf8');
      return {
        descriptors: readdirSync('/proc/self/fd').length,
        mappings: readFileSync('/proc/self/maps', 'latin1').split('\\n').length,
        resident: Number(/VmRSS:\\s+(\\d+)/.exec(text)[1]) / 1024,
      };
    };
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    const run = async (rounds) => {
      for (let i = 0; i < rounds; i++) {
        use(i);
        if (i % 1000 === 999) await turn();
      }
      for (let i = 0; i < 5; i++) {
        gc();
        await turn();
      }
    };
    await run(${rounds / 5});
    const before = status();
    await run(${rounds});
    const after = status();
    const grown = Object.keys(before).map((name) => name + ' ' + (after[name] - before[name]));
    assert.ok(after.descriptors - before.descriptors < 5, grown.join()); // Deno opens some late
    assert.ok(after.mappings - before.mappings < 50, grown.join());
    assert.ok(after.resident - before.resident < 30, grown.join());`;
  const { code, signal, stderr } = await runModule(source, { args: [path], timeoutMs: 120_000 });
  assert.deepEqual([stderr, code, signal], ['', 0, null]);
}

const kernel = needs(lacksKernel);
test(`${rounds} times: map and close`, kernel, () => isFlat('map(path).close();'));

test(`${rounds} times: map, a window, close`, kernel, () =>
  isFlat('const m = map(path); m.window(i % 9000, 64)[0]; m.close();'),
);

test(`${rounds} times: anonymous memory with bytes and a resize`, kernel, () =>
  isFlat('const m = anonymous(100); m.bytes[5] = 1; m.resize(200); m.bytes[5] = 1; m.close();'),
);

test(`${rounds} times: a refused map`, kernel, () =>
  isFlat("try { map(path, { offset: 1e9 }); } catch {} try { map('/'); } catch {}"),
);

test(`${rounds / 10} times: shared memory`, needs(lacksKernel), () =>
  isFlat('if (i % 10 === 0) { const m = map(path, { shared: true }); m.bytes[0]; m.close(); }'),
);
