import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import * as memmap from 'memmap';
import { runProcess } from '../support/child.ts';

const isLoadable = (process.features as { require_module?: boolean }).require_module !== false;

test("require('memmap') gives the same module", () => {
  const required = createRequire(import.meta.url)('memmap');
  assert.equal(required.map, memmap.map);
  assert.equal(required.pageSize, memmap.pageSize);
});

test('from a CommonJS program, without a warning', async () => {
  assert.ok(isLoadable);
  const source = `
    const { anonymous } = require('memmap');
    const mapping = anonymous(5);
    mapping.bytes.write('hello');
    console.log(mapping.bytes.toString());`;
  const command = [process.execPath, '--input-type=commonjs', '-e', source];
  const { code, stdout } = await runProcess(command);
  assert.deepEqual([code, stdout], [0, 'hello\n']);
});
