/**
 * A store where there may be none: never in the file, not visible after the report, and nothing
 * else is lost by it.
 */
import assert from 'node:assert/strict';
import { readFileSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { anonymous, type FaultError, type Mapping, map, pageSize } from 'memmap';
import { countMappings, faultOf, pendingFault } from '../support/fault.ts';
import { hazard } from '../support/hazard.ts';
import { pattern, temporaryFile } from '../support/temporary.ts';

const page = pageSize;
const pages = 8;
const size = pages * page;
const code = 'ERR_MEMMAP_READ_ONLY';

/** Every kind of memory that can be read-only, filled with this content. */
const kinds: Record<string, (content: Buffer) => Mapping> = {
  'a file for reading': (content) => map(temporaryFile(content)),
  'a shared file for reading': (content) => map(temporaryFile(content), { shared: true }),
  'a file for writing, protected': (content) =>
    protectedAfterwards(mapForWriting(content), content),
  "a 'copy' with stores of its own, protected": (content) =>
    protectedAfterwards(map(temporaryFile(Buffer.alloc(size, 1)), { access: 'copy' }), content),
  "a 'copy' without stores, protected": (content) =>
    protectedAfterwards(map(temporaryFile(content), { access: 'copy' })),
  'anonymous memory, protected': (content) => protectedAfterwards(anonymous(size), content),
  'shared anonymous memory, protected': (content) =>
    protectedAfterwards(anonymous(size, { shared: true }), content),
};

function mapForWriting(content: Buffer): Mapping {
  return map(temporaryFile(content), { access: 'write' });
}

function protectedAfterwards(mapping: Mapping, content?: Buffer): Mapping {
  content?.copy(mapping.bytes);
  mapping.protect('read');
  return mapping;
}

for (const [name, make] of Object.entries(kinds)) {
  hazard(`${name}: a store is gone after its report, and the content is kept`, () => {
    const content = pattern(size);
    const mapping = make(content);
    const { bytes } = mapping;
    bytes[3 * page + 5] = ~(content[3 * page + 5] as number);
    const fault = pendingFault(mapping, code);
    assert.equal(fault.offset, 3 * page + 5);
    assert.equal(fault.access, 'write');
    assert.equal(fault.count, 1);
    assert.ok(bytes.equals(content));
    mapping.check();
    if (mapping.path) {
      const stored = ~(content[3 * page + 5] as number) & 0xff;
      assert.notEqual(readFileSync(mapping.path)[3 * page + 5], stored);
    }
  });

  hazard(`${name}: filled from end to end, again and again`, () => {
    const content = pattern(size);
    const mapping = make(content);
    const before = mapping.path ? readFileSync(mapping.path) : undefined;
    const mappings = countMappings();
    for (let round = 0; round < 30; round++) {
      mapping.bytes.fill(round);
      pendingFault(mapping, code);
      assert.ok(mapping.bytes.equals(content), `round ${round}`);
      if (mapping.path && before) assert.ok(readFileSync(mapping.path).equals(before));
    }
    assert.ok(countMappings() < mappings + 20);
    mapping.check();
  });

  hazard(`${name}: loads are right between the store and the report`, () => {
    const content = pattern(size);
    const mapping = make(content);
    for (let at = 0; at < size; at += 2 * page) mapping.bytes[at] = ~(content[at] as number);
    for (let at = 1; at < size; at++) {
      if (at % (2 * page) !== 0 && mapping.bytes[at] !== content[at]) assert.fail(`byte ${at}`);
    }
    pendingFault(mapping, code);
    assert.ok(mapping.bytes.equals(content));
  });
}

hazard('the file is untouched at every moment, also before the report', () => {
  const content = pattern(size);
  const path = temporaryFile(content);
  const mapping = map(path);
  mapping.bytes.fill(0xee);
  assert.ok(readFileSync(path).equals(content));
  pendingFault(mapping, code);
  assert.ok(readFileSync(path).equals(content));
});

hazard('what others write to the file is seen after the report', () => {
  const path = temporaryFile(size);
  const mapping = map(path);
  mapping.bytes[0] = 1;
  const next = pattern(size, 5);
  writeFileSync(path, next, { flag: 'r+' });
  pendingFault(mapping, code);
  assert.ok(mapping.bytes.equals(next));
});

hazard('a copy over the border of a protected range: the first part is stored', () => {
  const content = pattern(size);
  const mapping = mapForWriting(content);
  mapping.protect('read', { offset: 4 * page, length: 4 * page });
  const source = Buffer.alloc(size, 0x5a);
  source.copy(mapping.bytes);
  const fault = pendingFault(mapping, code);
  assert.equal(fault.offset, 4 * page);
  const file = readFileSync(mapping.path as string);
  assert.ok(file.subarray(0, 4 * page).equals(source.subarray(0, 4 * page)));
  assert.ok(file.subarray(4 * page).equals(content.subarray(4 * page)));
  assert.ok(mapping.bytes.equals(file));
});

hazard('a patch never reaches into a neighbour that may be written', () => {
  const mapping = mapForWriting(pattern(size));
  mapping.protect('read', { offset: 2 * page, length: page });
  for (let round = 0; round < 5; round++) {
    for (let at = 0; at < size; at += page) mapping.bytes[at + round] = 0x11;
    pendingFault(mapping, code);
    const file = readFileSync(mapping.path as string);
    for (let at = 0; at < size; at += page) {
      if (at !== 2 * page) assert.equal(file[at + round], 0x11, `byte ${at + round}`);
    }
    assert.ok(mapping.bytes.equals(file));
  }
});

hazard('protect raises and lowers; stores count from then on', () => {
  const content = pattern(size);
  const mapping = mapForWriting(content);
  mapping.protect('read');
  mapping.bytes[0] = 1;
  faultOf(code, () => mapping.protect('write'));
  mapping.protect('write');
  mapping.bytes[0] = 2;
  mapping.check();
  assert.equal(readFileSync(mapping.path as string)[0], 2);
  mapping.protect('read');
  mapping.withAccess('write', () => {
    mapping.bytes[1] = 3;
  });
  mapping.bytes[1] = 4;
  pendingFault(mapping, code);
  assert.equal(mapping.bytes[1], 3);
  assert.equal(readFileSync(mapping.path as string)[1], 3);
});

hazard('anonymous memory made for reading stays zeros', () => {
  for (const shared of [false, true]) {
    const mapping = anonymous(size, { access: 'read', shared });
    mapping.bytes.fill(9);
    pendingFault(mapping, code);
    assert.ok(mapping.bytes.equals(Buffer.alloc(size)));
  }
});

hazard('a descriptor that could write does not make it so', () => {
  const content = pattern(size);
  const mapping = map(temporaryFile(content));
  assert.throws(() => mapping.protect('write'), { code: 'EACCES' });
  mapping.bytes.fill(0);
  pendingFault(mapping, code);
  assert.ok(mapping.bytes.equals(content));
  assert.throws(() => writeSync(mapping.fd, 'x'), { code: 'EBADF' });
});

for (const access of ['read', 'write', 'copy'] as const) {
  hazard(`a file cut while a store waits for its report, access '${access}'`, () => {
    const content = pattern(size);
    const path = temporaryFile(content);
    const mapping = map(path, { access });
    const { bytes } = mapping;
    if (access === 'copy') bytes.fill(0x11, page, 2 * page);
    if (access !== 'read') mapping.protect('read');
    for (let round = 0; round < 20; round++) {
      for (let at = 0; at < size; at += 3 * page) bytes[at + round] = 0xee;
      truncateSync(path, (round % (pages - 1)) * page + (round % 3));
      for (let at = 0; at < size; at += page) {
        const value = bytes[at + round] as number;
        bytes[at + round] = value + 1;
      }
      const told = faultsOf(mapping);
      assert.deepEqual(told, ['ERR_MEMMAP_READ_ONLY', 'ERR_MEMMAP_TRUNCATED'], `round ${round}`);
      writeFileSync(path, content, { flag: 'r+' });
      if (access !== 'copy') assert.ok(bytes.equals(content), `round ${round}`);
      mapping.check();
    }
    assert.ok(readFileSync(path).equals(content));
  });
}

/** The codes of what waits, sorted. */
function faultsOf(mapping: Mapping): string[] {
  try {
    mapping.check();
  } catch (error) {
    const fault = error as FaultError;
    return [fault, ...fault.others].map(({ code }) => code).sort();
  }
  return [];
}
