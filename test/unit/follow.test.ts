import assert from 'node:assert/strict';
import { appendFileSync, statSync, truncateSync } from 'node:fs';
import { test } from 'node:test';
import { map, pageSize } from 'memmap';
import { temporaryFile } from '../support/temporary.ts';

test('a reader follows a growing log, its views stay', () => {
  const path = temporaryFile('');
  using log = map(path, { capacity: 100 * pageSize });
  const first: Buffer[] = [];
  let text = '';
  for (let i = 0; i < 300; i++) {
    const line = `line ${i} ${'x'.repeat(i)}\n`;
    appendFileSync(path, line);
    text += line;
    const before = log.byteLength;
    log.resize(text.length);
    assert.equal(log.window(before, line.length).toString(), line);
    if (i % 50 === 0) first.push(log.bytes);
  }
  assert.equal(log.bytes.toString(), text);
  for (const bytes of first) assert.equal(bytes.toString(), text.slice(0, bytes.length));
});

test('never beyond the file', () => {
  const path = temporaryFile(100);
  for (const capacity of [undefined, pageSize]) {
    using mapping = map(path, { capacity });
    assert.throws(() => mapping.resize(101), {
      name: 'RangeError',
      code: 'ERR_OUT_OF_RANGE',
      message: /"byteLength".*100 bytes/,
      hint: /its writer has grown it/,
    });
    assert.equal(mapping.byteLength, 100);
  }
});

test('and never changes it', () => {
  const path = temporaryFile(3 * pageSize);
  for (const capacity of [undefined, 4 * pageSize]) {
    using mapping = map(path, { capacity, offset: 5 });
    for (const size of [10, 0, 2 * pageSize, 3 * pageSize - 5]) {
      mapping.resize(size);
      assert.equal(mapping.bytes.length, size);
      assert.equal(statSync(path).size, 3 * pageSize);
    }
  }
});

test('it gives way when the file is cut', () => {
  const path = temporaryFile(3 * pageSize);
  using mapping = map(path, { capacity: 3 * pageSize });
  truncateSync(path, 10);
  mapping.resize(10);
  assert.equal(mapping.bytes.length, 10);
  mapping.check();
});
