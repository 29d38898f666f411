/**
 * Copies of the library elsewhere: two in one process, as nested node_modules make them, and one
 * without its addon.
 */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { runModule, runProcess, scriptWords } from '../support/child.ts';
import { temporaryDirectory, temporaryFile } from '../support/temporary.ts';

const addon = process.env.MEMMAP_ADDON ?? 'native/build/Release/memmap.node';

function copyScripts(): string {
  const folder = mkdtempSync(join(temporaryDirectory(), 'copy-'));
  cpSync('dist', join(folder, 'dist'), { recursive: true });
  cpSync('package.json', join(folder, 'package.json'));
  return folder;
}

function copyLibrary(): string {
  const folder = copyScripts();
  mkdirSync(join(folder, 'native/build/Release'), { recursive: true });
  cpSync(addon, join(folder, 'native/build/Release/memmap.node'));
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

test('without an addon the command says how to get one, and exits with 4', async () => {
  const folder = copyScripts();
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
  for (const args of [['maps', '1'], ['cache', 'x'], ['--help']]) {
    const command = [...scriptWords, join(folder, 'dist/cli/main.js'), ...args];
    const { code, stdout, stderr } = await runProcess(command, {
      cwd: folder,
      env: { MEMMAP_ADDON: undefined },
    });
    assert.deepEqual([code, stdout], [4, ''], stderr);
    assert.match(stderr, /^memmap: Cannot load memmap: there is no addon for \S+\nhint: run /);
  }
});
