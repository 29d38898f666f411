import assert from 'node:assert/strict';
import { readFileSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { map } from 'memmap';
import { mounted, needs } from '../support/machine.ts';
import { pattern } from '../support/temporary.ts';

const disk = mounted('tmpfs', 'size=1m');
const full = needs(!disk && 'cannot mount a small tmpfs here (needs root)');
const length = 128 * 1024;

for (const capacity of [undefined, 2 ** 23]) {
  const how = capacity ? 'with a capacity' : 'by moving';
  test(`growing ${how} on a full disk changes neither file nor mapping`, full, () => {
    const path = join(disk as string, `file-${capacity}`);
    writeFileSync(path, pattern(length));
    using mapping = map(path, { access: 'write', capacity });
    const { bytes, address } = mapping;
    const free = statfsSync(disk as string).bfree;
    for (const size of [2 ** 21, 2 ** 22, 2 ** 20 + 1]) {
      assert.throws(() => mapping.resize(size), {
        name: 'MemmapError',
        code: 'ENOSPC',
        path,
        hint: /the file is as it was/,
      });
      assert.equal(mapping.byteLength, length);
      assert.equal(mapping.address, address);
      assert.equal(mapping.bytes, bytes);
      assert.ok(bytes.equals(pattern(length)));
      assert.ok(readFileSync(path).equals(pattern(length)));
      assert.equal(statfsSync(disk as string).bfree, free);
    }
    mapping.resize(2 * length);
    assert.equal(mapping.bytes.length, 2 * length);
    mapping.bytes.fill(1);
    assert.ok(readFileSync(path).every((byte) => byte === 1));
    mapping.resize(length);
    assert.equal(statfsSync(disk as string).bfree, free);
  });
}
