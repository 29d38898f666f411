import assert from 'node:assert/strict';
import { test } from 'node:test';
import { levelOf, levels } from '#dist/cli/bar.js';

test('only everything is full, and only nothing is empty', () => {
  assert.equal(levelOf(0, 1000), 0);
  assert.equal(levelOf(1, 1000), 1);
  assert.equal(levelOf(500, 1000), 4);
  assert.equal(levelOf(999, 1000), 7);
  assert.equal(levelOf(1000, 1000), 8);
  assert.equal(levelOf(null, 1000), null);
  assert.equal(levelOf(0, 0), 0);
});

test('nine levels, and a sign for unknown', () => {
  const all = [0, 1, 2, 3, 4, 5, 6, 7, 8, null];
  assert.equal(levels(all, false), '·▁▂▃▄▅▆▇█?');
  assert.equal(levels(all, true), '.1234567#?');
});
