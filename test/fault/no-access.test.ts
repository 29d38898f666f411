/**
 * Memory that may not be touched: zeros, stores thrown away, a report, and the content kept.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { anonymous, type Mapping, map, pageSize } from 'memmap';
import { countMappings, faultOf, pendingFault } from '../support/fault.ts';
import { hazard } from '../support/hazard.ts';
import { pattern, temporaryFile } from '../support/temporary.ts';

const page = pageSize;
const size = 8 * page;
const code = 'ERR_MEMMAP_NO_ACCESS';

const kinds: Record<string, (content: Buffer) => Mapping> = {
  'a file for reading': (content) => map(temporaryFile(content)),
  'a file for writing': (content) => map(temporaryFile(content), { access: 'write' }),
  "a 'copy'": (content) => {
    const mapping = map(temporaryFile(Buffer.alloc(size, 1)), { access: 'copy' });
    content.copy(mapping.bytes);
    return mapping;
  },
  'anonymous memory': (content) => filled(anonymous(size), content),
  'shared anonymous memory': (content) => filled(anonymous(size, { shared: true }), content),
};

function filled(mapping: Mapping, content: Buffer): Mapping {
  content.copy(mapping.bytes);
  return mapping;
}

for (const [name, make] of Object.entries(kinds)) {
  hazard(`${name}: loads give zeros, stores go nowhere, the content comes back`, () => {
    const content = pattern(size);
    const mapping = make(content);
    const { bytes } = mapping;
    const before = mapping.path ? readFileSync(mapping.path) : undefined;
    for (let round = 0; round < 30; round++) {
      mapping.protect('none');
      assert.equal(bytes[round], 0);
      const fault = pendingFault(mapping, code);
      assert.equal(fault.offset, round);
      assert.equal(fault.access, 'read');
      bytes.fill(0xdd);
      assert.equal(pendingFault(mapping, code).access, 'write');
      assert.ok(bytes.equals(Buffer.alloc(size)));
      faultOf(code, () => mapping.protect('read'));
      mapping.protect('read');
      assert.ok(bytes.equals(content), `round ${round}`);
      mapping.check();
    }
    if (mapping.path && before) assert.ok(readFileSync(mapping.path).equals(before));
  });

  hazard(`${name}: only the protected pages`, () => {
    const content = pattern(size);
    const mapping = make(content);
    mapping.protect('none', { offset: 2 * page, length: 3 * page });
    const expected = Buffer.from(content);
    expected.fill(0, 2 * page, 5 * page);
    assert.ok(mapping.bytes.equals(expected));
    assert.equal(pendingFault(mapping, code).offset, 2 * page);
    mapping.protect('read');
    assert.ok(mapping.bytes.equals(content));
  });
}

hazard('reserved memory, made usable in parts', () => {
  const mapping = anonymous(size, { access: 'none' });
  assert.equal(mapping.bytes[0], 0);
  mapping.bytes[page] = 1;
  pendingFault(mapping, code);
  mapping.protect('write', { offset: page, length: page });
  assert.equal(mapping.bytes[page], 0);
  mapping.bytes[page] = 2;
  mapping.check();
  mapping.bytes[2 * page] = 2;
  assert.equal(pendingFault(mapping, code).offset, 2 * page);
  assert.equal(mapping.bytes[page], 2);
});

hazard('protections of every kind side by side, touched in every order', () => {
  const content = pattern(size);
  const mapping = filled(anonymous(size), content);
  mapping.protect('read', { offset: page, length: 2 * page });
  mapping.protect('none', { offset: 4 * page, length: 2 * page });
  const before = countMappings();
  for (let round = 0; round < 64; round++) {
    for (let i = 0; i < 8; i++) mapping.bytes[((i * (2 * round + 1)) % 8) * page + round] = 0x77;
    const fault = faultOf(round % 2 === 0 ? 'ERR_MEMMAP_READ_ONLY' : code, () => {
      try {
        mapping.check();
      } catch (error) {
        const found = error as { code: string; others: Error[] };
        const wanted = round % 2 === 0 ? 'ERR_MEMMAP_READ_ONLY' : code;
        throw found.code === wanted ? found : found.others[0];
      }
    });
    assert.ok(fault.count >= 1);
    for (const at of [0, 3, 6, 7]) content[at * page + round] = 0x77;
  }
  assert.ok(countMappings() < before + 20);
  mapping.protect('write');
  assert.ok(mapping.bytes.equals(content));
});
