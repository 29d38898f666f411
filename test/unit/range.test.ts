import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readRange, within } from '#dist/core/range.js';

const type = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
const range = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };

test('what is not given is the whole', () => {
  assert.deepEqual(within(readRange(undefined), 10), { offset: 0, length: 10 });
  assert.deepEqual(within(readRange({}), 10), { offset: 0, length: 10 });
  assert.deepEqual(within(readRange({ offset: 3 }), 10), { offset: 3, length: 7 });
  assert.deepEqual(within(readRange({ length: 3 }), 10), { offset: 0, length: 3 });
});

test('a range may end exactly at the end', () => {
  assert.deepEqual(within({ offset: 4, length: 6 }, 10), { offset: 4, length: 6 });
  assert.deepEqual(within({ offset: 10 }, 10), { offset: 10, length: 0 });
  assert.deepEqual(within({ offset: 0, length: 0 }, 0), { offset: 0, length: 0 });
});

test('what reaches behind the end is refused by name', () => {
  const offset = { ...range, message: /"range\.offset".*<= 10\. Received 11$/ };
  assert.throws(() => within({ offset: 11 }, 10), offset);
  const length = { ...range, message: /"range\.length".*<= 6\. Received 7$/ };
  assert.throws(() => within({ offset: 4, length: 7 }, 10), length);
});

test('a sum that would overflow is refused', () => {
  const huge = Number.MAX_SAFE_INTEGER;
  assert.throws(() => within({ offset: 5, length: huge }, 10), range);
  assert.throws(() => within({ offset: huge, length: huge }, 10), range);
});

test('every wrong type is refused by name', () => {
  for (const value of [null, 1, '0', true, [], () => 0, 1n, Symbol.iterator]) {
    assert.throws(() => readRange(value as never), { ...type, message: /"range"/ });
  }
  for (const name of ['offset', 'length']) {
    const message = new RegExp(`"range\\.${name}"`);
    for (const value of [null, '1', true, 1n, {}, [1]]) {
      assert.throws(() => readRange({ [name]: value }), { ...type, message });
    }
    for (const value of [Number.NaN, -1, 0.5, Number.POSITIVE_INFINITY, 2 ** 53]) {
      assert.throws(() => readRange({ [name]: value }), { ...range, message });
    }
  }
});
