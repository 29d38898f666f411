import assert from 'node:assert/strict';
import { truncateSync } from 'node:fs';
import { test } from 'node:test';
import { runModule } from '../support/child.ts';
import { isEmulated, needs } from '../support/machine.ts';
import { temporaryFile } from '../support/temporary.ts';

const gib = 2 ** 30;
const room = isEmulated && 'the emulator has no room for 300 GiB of addresses';

/** Mark-compacts while 300 mappings are used in a child. */
async function markCompacts(byteLength: number, how: string): Promise<number> {
  const path = temporaryFile('');
  truncateSync(path, byteLength);
  const { code, signal, stdout, stderr } = await runModule(
    `import { constants, PerformanceObserver } from 'node:perf_hooks';
    import { map } from 'memmap';
    let count = 0;
    const observer = new PerformanceObserver((list) => {
      for (const { detail } of list.getEntries()) {
        if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) count++;
      }
    });
    observer.observe({ entryTypes: ['gc'] });
    const turn = () => new Promise((resolve) => setTimeout(resolve, 1));
    await turn();
    const before = count;
    const mappings = [];
    for (let i = 0; i < 300; i++) {
      const mapping = map(process.argv[1], ${how === 'shared' ? '{ shared: true }' : '{}'});
      const bytes = ${how === 'shared' ? 'mapping.bytes' : 'mapping.window(i * 8, 8)'};
      if (bytes[0] !== 0) throw new Error('not zero');
      mappings.push(mapping);
      if (i % 10 === 0) await turn();
    }
    await turn();
    for (const entry of observer.takeRecords()) {
      if (entry.detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) count++;
    }
    console.log(count - before);`,
    { args: [path] },
  );
  assert.deepEqual([code, signal, stderr], [0, null, '']);
  return Number(stdout);
}

test(
  '300 mappings of 1 GiB, used by windows, cost no more collections than small ones',
  needs(room),
  async () => {
    const small = await markCompacts(4096, 'window');
    const large = await markCompacts(gib, 'window');
    assert.ok(large <= small, `${large} for 1 GiB, ${small} for 4 KiB`);
  },
);

test('nor as shared memory', needs(room), async () => {
  const small = await markCompacts(4096, 'shared');
  const large = await markCompacts(gib, 'shared');
  assert.ok(large <= small, `${large} for 1 GiB, ${small} for 4 KiB`);
});
