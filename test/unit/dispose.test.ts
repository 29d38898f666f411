import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anonymous, type Mapping, map, pageSize } from 'memmap';
import { temporaryFile } from '../support/temporary.ts';

test('using closes at the end of the block', () => {
  let outside: Mapping;
  {
    using mapping = map(temporaryFile(10));
    outside = mapping;
    assert.ok(!outside.closed);
  }
  assert.ok(outside.closed);
});

test('also when it ends by an error, which passes', () => {
  let outside: Mapping | undefined;
  const reason = new Error('mine');
  const run = () => {
    using mapping = anonymous(pageSize);
    outside = mapping;
    throw reason;
  };
  assert.throws(run, (error) => error === reason);
  assert.ok(outside?.closed);
});

test('disposing what is closed is fine', () => {
  const mapping = anonymous(pageSize);
  mapping.close();
  mapping[Symbol.dispose]();
  mapping[Symbol.dispose]();
});
