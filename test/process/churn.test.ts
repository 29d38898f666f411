import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runProcess } from '../support/child.ts';
import { temporaryDirectory } from '../support/temporary.ts';

// The scenarios and what is checked are in test/runtime/churn.ts, which runs on Bun and Deno, too.
test('no memory of a file is ever reused or zeroed by the engine', async () => {
  const script = fileURLToPath(new URL('../runtime/churn.js', import.meta.url));
  const command = [process.execPath, '--expose-gc', script, temporaryDirectory(), '--rounds=4'];
  const { code, signal, stdout, stderr } = await runProcess(command, { timeoutMs: 600_000 });
  assert.deepEqual([code, signal], [0, null], `${stdout}\n${stderr}`);
  assert.match(stdout, /^38 ok, 0 unsupported, 0 failed$/m);
});
