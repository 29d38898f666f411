import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  abortSignal,
  boolean,
  bytesOf,
  callback,
  integer,
  object,
  oneOf,
} from '#dist/core/validate.js';

const type = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
const range = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
const unlike = [null, undefined, 'a', 1n, Symbol.iterator];

test('integer takes whole numbers between its bounds', () => {
  for (const value of [0, 1, -0, 2 ** 32, Number.MAX_SAFE_INTEGER]) integer('x', value);
  integer('x', -3, -3, 5);
  for (const value of [...unlike, {}, [1], true, new Number(1)]) {
    assert.throws(() => integer('x', value), type);
  }
  for (const value of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
    assert.throws(() => integer('x', value), range);
  }
  assert.throws(() => integer('x', 6, -3, 5), { ...range, message: />= -3 && <= 5. Received 6/ });
});

test('nothing is converted', () => {
  const trap = {
    valueOf: () => assert.fail('valueOf was called'),
    toString: () => assert.fail('toString was called'),
    [Symbol.toPrimitive]: () => assert.fail('toPrimitive was called'),
  };
  assert.throws(() => integer('x', trap), type);
  assert.throws(() => boolean('x', trap), type);
  assert.throws(() => oneOf('x', trap, ['a']), type);
  assert.throws(() => bytesOf('x', trap), type);
});

test('boolean, object and callback', () => {
  boolean('x', false);
  object('x', {});
  object('x', Object.create(null));
  callback('x', () => 0);
  for (const value of [...unlike, 0, {}]) assert.throws(() => boolean('x', value), type);
  for (const value of [...unlike, 0, []]) assert.throws(() => object('x', value), type);
  for (const value of [...unlike, 0, {}]) assert.throws(() => callback('x', value), type);
});

test('oneOf names its choices', () => {
  oneOf('x', 'a', ['a', 'b']);
  for (const value of [...unlike.slice(1, 2), 'c', 'A', ['a'], 0, 'toString']) {
    assert.throws(() => oneOf('x', value, ['a', 'b']), { ...type, message: /one of 'a', 'b'/ });
  }
});

test('a signal is something that can be aborted', () => {
  abortSignal('x', new AbortController().signal);
  for (const value of [...unlike, 0, {}, () => 0])
    assert.throws(() => abortSignal('x', value), type);
});

test('bytesOf gives every view over the same memory', () => {
  const { buffer } = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]);
  for (const view of [new Uint16Array(buffer, 2, 2), new DataView(buffer, 2, 4)]) {
    const bytes = bytesOf('x', view);
    assert.deepEqual([...bytes], [3, 4, 5, 6]);
    assert.equal(bytes.buffer, buffer);
  }
  const given = Buffer.from('abc');
  assert.equal(bytesOf('x', given), given);
  for (const value of [...unlike, buffer, [1], {}]) assert.throws(() => bytesOf('x', value), type);
});
