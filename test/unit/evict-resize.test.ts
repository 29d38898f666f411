import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runModule } from '../support/child.ts';
import { isEmulated, needs } from '../support/machine.ts';
import { temporaryPath } from '../support/temporary.ts';

const slow = needs(isEmulated && 'the emulator is too slow for files of 256 MiB');

test('work in flight touches no memory but its own when the mapping moves', slow, async () => {
  const source = `
    import { truncateSync, writeFileSync } from 'node:fs';
    import { anonymous, map, pageSize } from 'memmap';
    const path = process.argv[1];
    const memory = Array.from({ length: 100 }, () => anonymous(16 * pageSize));
    for (const { bytes } of memory) bytes.fill(7);
    for (let round = 0; round < 15; round++) {
      writeFileSync(path, '');
      truncateSync(path, 2 ** 28);
      const mapping = map(path, { access: 'write' });
      const work = [mapping.evict(), mapping.prefetch(), mapping.flush()];
      await new Promise((resolve) => setTimeout(resolve, round % 4));
      try {
        mapping.resize(100);
      } catch (error) {
        if (error.code !== 'EBUSY') throw error;
      }
      await Promise.allSettled(work);
      mapping.close();
      if (!memory.every(({ bytes }) => bytes.every((byte) => byte === 7))) throw new Error('lost');
    }`;
  const { code, signal, stderr } = await runModule(source, { args: [temporaryPath()] });
  assert.deepEqual([code, signal, stderr], [0, null, '']);
});
