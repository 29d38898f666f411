import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FaultError, MemmapError } from 'memmap';
import { closed, invalidArgument, outOfRange, unsupported } from '#dist/core/errors.js';

test('a MemmapError has a code and only the details it was given', () => {
  const cause = new Error('why');
  const error = new MemmapError('EACCES', 'Cannot map /x: permission denied', {
    errno: -13,
    path: '/x',
    hint: undefined,
    cause,
  });
  assert.ok(error instanceof Error);
  assert.equal(error.name, 'MemmapError');
  assert.equal(error.cause, cause);
  assert.deepEqual({ ...error }, { code: 'EACCES', errno: -13, path: '/x' });
  assert.match(error.stack ?? '', /^MemmapError.*: Cannot map \/x: permission denied\n/);
});

test('an error without a cause has no such property', () => {
  assert.ok(!('cause' in new MemmapError('EIO', 'Cannot read: the device failed')));
  assert.ok('cause' in new MemmapError('EIO', 'message', { cause: undefined }));
});

test('a FaultError is a MemmapError with a place', () => {
  const place = { offset: 5, address: 4101n, access: 'read', thread: 7, count: 3 } as const;
  const error = new FaultError('ERR_MEMMAP_TRUNCATED', 'Cannot read byte 5', place);
  assert.ok(error instanceof MemmapError);
  assert.equal(error.name, 'FaultError');
  assert.deepEqual({ ...error }, { code: 'ERR_MEMMAP_TRUNCATED', ...place, others: [] });
});

test('a FaultError as JSON has its address in hexadecimal', () => {
  const details = { offset: 5, address: 255n, access: 'read', thread: 1, count: 2 } as const;
  const error = new FaultError('ERR_MEMMAP_IO', 'no', details);
  const { address, count, code } = JSON.parse(JSON.stringify({ error })).error;
  assert.deepEqual([address, count, code], ['0xff', 2, 'ERR_MEMMAP_IO']);
});

test("a wrong type is Node's own error and says what was received", () => {
  const said = (value: unknown) => invalidArgument('x', 'of type number', value);
  assert.ok(said(null) instanceof TypeError);
  assert.deepEqual({ ...said(null) }, { code: 'ERR_INVALID_ARG_TYPE' });
  const cases: [unknown, RegExp][] = [
    [null, /Received null$/],
    [undefined, /Received undefined$/],
    ['abc', /Received type string \('abc'\)$/],
    [12n, /Received type bigint \(12n\)$/],
    [true, /Received type boolean \(true\)$/],
    [Symbol('s'), /Received type symbol \(Symbol\(s\)\)$/],
    [[], /Received an instance of Array$/],
    [Object.create(null), /Received an object without a prototype$/],
    [function named() {}, /Received function named$/],
  ];
  for (const [value, message] of cases) assert.match(said(value).message, message);
  assert.ok(said('x'.repeat(1000)).message.length < 200);
});

test('arguments and properties are told apart', () => {
  assert.match(invalidArgument('file', 'a path', 1).message, /^The "file" argument must be/);
  assert.match(invalidArgument('a.b', 'a path', 1).message, /^The "a\.b" property must be/);
});

test("a value out of range is Node's own error, with a hint where there is a cure", () => {
  const error = outOfRange('offset', '>= 0', -1n, 'use 0');
  assert.ok(error instanceof RangeError);
  assert.deepEqual({ ...error }, { code: 'ERR_OUT_OF_RANGE', hint: 'use 0' });
  assert.match(error.message, /"offset" is out of range. It must be >= 0. Received -1n$/);
  assert.ok(!('hint' in outOfRange('offset', '>= 0', -1)));
});

test('closed and unsupported read as all others', () => {
  assert.deepEqual({ ...closed('flush', '/x') }, { code: 'ERR_MEMMAP_CLOSED', path: '/x' });
  assert.equal(closed('flush', null).message, 'Cannot flush: the mapping is closed');
  const error = unsupported('resize', 'it is a device', { hint: 'no' });
  assert.equal(error.message, 'Cannot resize: it is a device');
  assert.deepEqual({ ...error }, { code: 'ERR_MEMMAP_UNSUPPORTED', hint: 'no' });
});
