import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pause } from '#dist/cli/interrupt.js';

test('a pause longer than a timer of Node.js can be is one all the same', async () => {
  for (const seconds of [3e6, Number.POSITIVE_INFINITY]) {
    const controller = new AbortController();
    let isOver = false;
    const long = pause(seconds, controller.signal).then(() => (isOver = true));
    await pause(0.05);
    assert.equal(isOver, false);
    controller.abort();
    await long;
  }
});
