import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runProcess } from '../support/child.ts';
import { temporaryDirectory } from '../support/temporary.ts';

// What Bun and Deno are asked, too: test/runtime/smoke.ts.
test('every capability that a runtime has to have', async () => {
  const script = fileURLToPath(new URL('../runtime/smoke.js', import.meta.url));
  const command = [process.execPath, '--expose-gc', script, temporaryDirectory()];
  const { code, signal, stdout, stderr } = await runProcess(command, { timeoutMs: 300_000 });
  assert.deepEqual([code, signal], [0, null], `${stdout}\n${stderr}`);
});
