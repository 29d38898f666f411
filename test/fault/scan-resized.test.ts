/**
 * Mappings that code of the user's makes smaller, or closes, while they are scanned: in a child,
 * because what is looked at then may not be mapped any more.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runModule } from '../support/child.ts';
import { temporaryPath } from '../support/temporary.ts';

const megabytes = 64;

async function inChild(source: string): Promise<void> {
  const program = `
    import assert from 'node:assert/strict';
    import { writeFileSync } from 'node:fs';
    import { map } from 'memmap';
    import * as scan from 'memmap/scan';
    const path = process.argv[1];
    writeFileSync(path, Buffer.alloc(${megabytes} * 2 ** 20, 'a'));
    const mapping = map(path, { access: 'write' });
    for (let i = 0; i < ${megabytes}; i++) mapping.bytes[(i << 20) + 5] = 10;
    const small = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
    ${source}
    console.log('passed');`;
  const { code, signal, stdout, stderr } = await runModule(program, { args: [temporaryPath()] });
  assert.deepEqual([code, signal, stderr, stdout], [0, null, '', 'passed\n']);
}

for (const loop of ['lines(mapping)', "findAllSync(mapping, 'a')", 'matches(mapping, /a/)']) {
  test(`${loop}, made smaller between two turns`, async () => {
    await inChild(`
      const walk = () => { for (const _ of scan.${loop}) mapping.resize(4096); };
      assert.throws(walk, small);`);
  });
}

test('findAll, made smaller between two batches', async () => {
  await inChild(`
    const walk = async () => {
      for await (const _ of scan.findAll(mapping, 'a')) {
        // EBUSY while a batch is looked for
        try { mapping.resize(4096); } catch (error) { assert.equal(error.code, 'EBUSY'); }
      }
    };
    await assert.rejects(walk(), small);`);
});

const calls = [
  "findSync(mapping, 'z', options)",
  "countSync(mapping, 'a', options)",
  'lineCountSync(mapping, options)',
  "find(mapping, 'z', options)",
  "count(mapping, 'a', options)",
  'lineCount(mapping, options)',
  'LineIndex.build(mapping, options)',
];
for (const call of calls) {
  test(`${call}, whose options make it smaller or close it`, async () => {
    await inChild(`
      let change = () => mapping.resize(4096);
      const options = { get threads() { change(); return 1; } };
      const run = async () => scan.${call};
      await assert.rejects(run(), small);
      change = () => mapping.close();
      await assert.rejects(run(), { name: 'MemmapError', code: 'ERR_MEMMAP_CLOSED' });`);
  });
}
