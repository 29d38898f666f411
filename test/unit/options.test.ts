import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { anonymous, lockAll, map, pageSize } from 'memmap';
import { openDescriptors } from '../support/machine.ts';
import { temporaryFile, temporaryPath } from '../support/temporary.ts';

const type = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
const range = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
const values = [null, 'x', '1', 1, 0.5, true, 1n, [], {}, () => 0, Symbol.iterator, Number.NaN];

/** What an option may be, by kind; everything else in `values` is refused. */
const kinds: Record<string, (value: unknown) => boolean> = {
  number: (value) => value === 1,
  boolean: (value) => typeof value === 'boolean',
  name: () => false,
  bigint: () => false,
};
const common = {
  access: 'name',
  capacity: 'number',
  shared: 'boolean',
  populate: 'boolean',
  locked: 'boolean',
  noReserve: 'boolean',
  advice: 'name',
  hugePages: 'name',
  address: 'bigint',
};
const ofFiles = {
  ...common,
  offset: 'number',
  length: 'number',
  create: 'boolean',
  extend: 'boolean',
};

function checkTable(table: Record<string, string>, call: (options: object) => unknown): void {
  for (const [name, kind] of Object.entries(table)) {
    const message = new RegExp(`"options\\.${name}"`);
    for (const value of values) {
      if (kinds[kind]?.(value)) continue;
      const isRange = typeof value === 'number' && kind === 'number';
      const isAddress = typeof value === 'bigint' && kind === 'bigint';
      const expected = isRange || isAddress ? range : type;
      assert.throws(() => call({ [name]: value }), { ...expected, message }, `${name}`);
    }
  }
}

test('map refuses every wrong value of every option by name', () => {
  const path = temporaryFile(10);
  const before = openDescriptors();
  checkTable(ofFiles, (options) => map(path, options));
  assert.equal(openDescriptors(), before);
});

test('anonymous refuses every wrong value of every option by name', () => {
  checkTable(common, (options) => anonymous(1, options));
});

test('options are an object', () => {
  for (const value of [null, 1, 'read', true, [], () => 0, 1n]) {
    const refusal = { ...type, message: /"options"/ };
    assert.throws(() => map(temporaryFile(1), value as never), refusal);
    assert.throws(() => anonymous(1, value as never), refusal);
    assert.throws(() => lockAll(value as never), refusal);
  }
});

test('undefined is the default of every option', () => {
  const options = Object.fromEntries(Object.keys(ofFiles).map((name) => [name, undefined]));
  using mapping = map(temporaryFile(10), options);
  assert.equal(mapping.access, 'read');
  assert.equal(mapping.byteLength, 10);
  using memory = anonymous(10, options);
  assert.equal(memory.access, 'write');
});

test('the file is a path, a URL, a descriptor or a FileHandle', () => {
  const wrong = [null, undefined, true, 1n, {}, [], () => 0, { fd: '1' }, { fd: null }, 'a\0b'];
  for (const value of wrong) {
    assert.throws(() => map(value as never), { ...type, message: /"file"/ });
  }
  for (const value of [-1, 0.5, Number.NaN, 2 ** 31]) assert.throws(() => map(value), range);
  assert.throws(() => map({ fd: 0.5 }), { ...range, message: /"file\.fd"/ });
  assert.throws(() => map(new URL('http://example.com/x')), { code: 'ERR_INVALID_URL_SCHEME' });
});

test('lengths are whole, not negative, and do not overflow', () => {
  const path = temporaryFile(10);
  const huge = Number.MAX_SAFE_INTEGER;
  for (const value of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
    assert.throws(() => anonymous(value), { ...range, message: /"byteLength"/ });
    assert.throws(() => map(path, { offset: value }), { ...range, message: /"options\.offset"/ });
    assert.throws(() => map(path, { length: value }), { ...range, message: /"options\.length"/ });
  }
  assert.throws(() => map(path, { offset: 2, length: huge - 1 }), range);
  assert.throws(() => map(path, { offset: 2, capacity: huge - 1 }), range);
  for (const value of ['1', null, 1n, undefined]) {
    assert.throws(() => anonymous(value as never), { ...type, message: /"byteLength"/ });
  }
});

test('each access belongs to its kind of memory', () => {
  assert.throws(() => map(temporaryFile(1), { access: 'none' as never }), type);
  assert.throws(() => anonymous(1, { access: 'copy' as never }), type);
});

test('only a writer may create or extend', () => {
  const path = temporaryPath();
  for (const access of ['read', 'copy'] as const) {
    for (const option of ['create', 'extend']) {
      const refusal = { ...type, message: new RegExp(`"options\\.${option}".*'write'`) };
      assert.throws(() => map(path, { access, [option]: true }), refusal);
    }
  }
  assert.ok(!existsSync(path));
});

test('a capacity below the length is refused', () => {
  assert.throws(() => anonymous(10, { capacity: 9 }), { ...range, message: /"options\.capacity"/ });
  assert.throws(() => map(temporaryFile(10), { length: 10, capacity: 9 }), range);
  assert.throws(() => map(temporaryFile(10 * pageSize), { capacity: 1 }), range);
});

test('an address is a positive multiple of the page', () => {
  for (const address of [0n, -1n, 1n, BigInt(pageSize) + 1n, 1n << 64n]) {
    assert.throws(() => anonymous(1, { address }), { ...range, message: /"options\.address"/ });
  }
});

test('every option is read once', () => {
  const path = temporaryFile(10);
  const reads = new Map<string, number>();
  const given: Record<string, unknown> = { access: 'write', length: 10, capacity: 20 };
  const options = new Proxy(given, {
    get(target, name: string) {
      reads.set(name, (reads.get(name) ?? 0) + 1);
      return target[name];
    },
  });
  map(path, options).close();
  assert.deepEqual([...reads.keys()].sort(), Object.keys(ofFiles).sort());
  for (const [name, count] of reads) assert.equal(count, 1, name);
});

test('what options inherit counts', () => {
  using mapping = map(temporaryFile(10), Object.create({ length: 4 }));
  assert.equal(mapping.byteLength, 4);
});
