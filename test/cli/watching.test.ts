import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { Watch } from '#dist/cli/watching.js';

const noLook = () => null;

test('what comes after the last line counts', () => {
  const watch = new Watch({ pid: process.pid, name: 'this', child: null }, noLook, null);
  const kept = Buffer.alloc(2 ** 24, 1);
  assert.equal(watch.finish(), true);
  assert.ok(watch.counts && watch.counts.minor > 0 && watch.growth);
  assert.equal(kept.length, 2 ** 24);
});

test('of a process that nobody looked at before it ended nothing is known', async () => {
  const process = spawn('sleep', ['60']);
  await once(process, 'spawn');
  const subject = { pid: process.pid as number, name: 'sleep', child: null };
  const watch = new Watch(subject, noLook, null);
  process.kill('SIGKILL');
  await once(process, 'exit');
  assert.equal(watch.tick(), null);
  assert.equal(watch.finish(), false);
  assert.deepEqual([watch.counts, watch.growth], [null, null]);
  assert.match(watch.gap, /it ended/);
});
