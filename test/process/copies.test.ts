/**
 * Two copies of the library in one process, as nested node_modules make them.
 */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { runModule } from '../support/child.ts';
import { temporaryDirectory, temporaryFile } from '../support/temporary.ts';

const addon = process.env.MEMMAP_ADDON ?? 'native/build/Release/memmap.node';

function copyLibrary(): string {
  const folder = temporaryDirectory();
  cpSync('dist', join(folder, 'dist'), { recursive: true });
  mkdirSync(join(folder, 'native/build/Release'), { recursive: true });
  cpSync(addon, join(folder, 'native/build/Release/memmap.node'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  return pathToFileURL(join(folder, 'dist/index.js')).href;
}

test('both work, each with its own faults, and the process ends', async () => {
  const { code, stdout, stderr } = await runModule(
    `
    import * as one from 'memmap';
    import * as two from ${JSON.stringify(copyLibrary())};
    const path = ${JSON.stringify(temporaryFile('text'))};
    process.on('exit', () => console.log('ends'));
    setTimeout(() => {
      const told = [one, two].map(({ map }) => {
        const mapping = map(path);
        mapping.bytes[0] = 1;
        try { mapping.check(); return 'nothing'; } catch (error) { return error.code; }
      });
      console.log(told.join(' '));
    }, 10);`,
    { timeoutMs: 20_000 },
  );
  assert.equal(code, 0, stderr);
  assert.equal(stdout, 'ERR_MEMMAP_READ_ONLY ERR_MEMMAP_READ_ONLY\nends\n');
});
