/**
 * read and write: short counts where a load or store would fault, and never a fault.
 */
import assert from 'node:assert/strict';
import { closeSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { anonymous, type Mapping, map, pageSize } from 'memmap';
import { runtime } from '../runtime/runtime.ts';
import { turns } from '../support/fault.ts';
import { hazard } from '../support/hazard.ts';
import { lacksProbe, probe } from '../support/probe.ts';
import { pattern, temporaryFile } from '../support/temporary.ts';

const page = pageSize;
const size = 8 * page;
const content = pattern(size);

/** Nothing waits, and nothing comes. */
async function isQuiet(mapping: Mapping): Promise<void> {
  mapping.on('fault', (fault) => assert.fail(fault));
  mapping.check();
  await turns(5);
}

hazard('a file that was cut: the bytes that are in it', async () => {
  for (const left of [0, 1, page - 1, page, page + 1, 3 * page + 77, size - 1, size]) {
    for (const position of [0, 1, page, 3 * page + 70, size - 1, size, size + page]) {
      const path = temporaryFile(content);
      const mapping = map(path, { access: 'write' });
      truncateSync(path, left);
      const expected = Math.max(0, left - position);
      const target = Buffer.alloc(size, 0xaa);
      assert.equal(mapping.read(target, position), expected, `read ${left} ${position}`);
      const part = content.subarray(position, position + expected);
      assert.ok(target.subarray(0, expected).equals(part));
      assert.ok(target.subarray(expected).every((byte) => byte === 0xaa));
      const source = pattern(size, 3);
      assert.equal(mapping.write(source, position), expected, `write ${left} ${position}`);
      const file = readFileSync(path);
      assert.equal(file.length, left);
      assert.ok(file.subarray(position).equals(source.subarray(0, expected)));
      mapping.check();
      mapping.close();
    }
  }
});

hazard('odd offsets', async () => {
  const path = temporaryFile(content);
  const offset = page + 333;
  const mapping = map(path, { access: 'write', offset });
  truncateSync(path, 3 * page + 5);
  const target = Buffer.alloc(size);
  const expected = 3 * page + 5 - offset;
  assert.equal(mapping.read(target), expected);
  assert.ok(target.subarray(0, expected).equals(content.subarray(offset, offset + expected)));
  assert.equal(mapping.write(Buffer.alloc(size, 1), 2), expected - 2);
  await isQuiet(mapping);
});

hazard("a file that was cut, mapped as a 'copy'", async () => {
  const path = temporaryFile(content);
  const mapping = map(path, { access: 'copy' });
  mapping.bytes.fill(1, 5 * page);
  truncateSync(path, 2 * page);
  assert.equal(mapping.read(Buffer.alloc(size)), 2 * page);
  assert.equal(mapping.write(Buffer.alloc(size)), 2 * page);
  assert.equal(readFileSync(path).compare(content.subarray(0, 2 * page)), 0);
  await isQuiet(mapping);
});

hazard('read and write after a fault, before its report, tell the fault', () => {
  const path = temporaryFile(content);
  const mapping = map(path, { access: 'write' });
  truncateSync(path, page);
  void mapping.bytes[5 * page];
  assert.equal(mapping.bytes.at(5 * page), 0);
  assert.throws(() => mapping.write(Buffer.alloc(1)), { code: 'ERR_MEMMAP_TRUNCATED' });
  assert.equal(mapping.write(Buffer.alloc(1, 9)), 1);
  writeFileSync(path, content, { flag: 'r+' });
  assert.equal(mapping.read(Buffer.alloc(size)), size);
});

hazard('/dev/zero', async () => {
  for (const access of ['read', 'write', 'copy'] as const) {
    const mapping = map('/dev/zero', { length: size, access });
    const target = Buffer.alloc(size, 1);
    assert.equal(mapping.read(target), size);
    assert.ok(target.equals(Buffer.alloc(size)));
    if (access !== 'read') {
      assert.equal(mapping.write(content), size);
      mapping.read(target);
      assert.ok(target.equals(content));
    }
    await isQuiet(mapping);
  }
});

hazard("protect('none') and protect('read'): an error, or the bytes before it", async () => {
  for (const mapping of [
    anonymous(size),
    anonymous(size, { shared: true }),
    map(temporaryFile(content), { access: 'write' }),
    map(temporaryFile(content), { access: 'copy' }),
  ]) {
    mapping.write(content);
    mapping.protect('none', { offset: 2 * page, length: 2 * page });
    const target = Buffer.alloc(size);
    assert.equal(mapping.read(target, 1), 2 * page - 1);
    assert.equal(mapping.write(target, page), page);
    const noAccess = { code: 'ERR_MEMMAP_NO_ACCESS' };
    assert.throws(() => mapping.read(target, 2 * page), noAccess);
    assert.throws(() => mapping.write(target, 4 * page - 1), noAccess);
    assert.equal(mapping.read(target, 4 * page), size - 4 * page);
    mapping.protect('read');
    assert.throws(() => mapping.write(target), { code: 'ERR_MEMMAP_READ_ONLY' });
    assert.equal(mapping.read(target), size);
    assert.ok(target.subarray(2 * page).equals(content.subarray(2 * page)));
    await isQuiet(mapping);
  }
});

hazard('from one mapping into another', async () => {
  const from = map(temporaryFile(content));
  const to = anonymous(size);
  assert.equal(from.read(to.bytes), size);
  assert.ok(to.bytes.equals(content));
  assert.equal(to.write(from.bytes.subarray(page)), size - page);
  assert.ok(to.bytes.subarray(0, size - page).equals(content.subarray(page)));
});

/** Whichever end cannot be touched: fewer bytes, or an error; never a full count. */
function falls(copy: () => number, most: number): void {
  try {
    assert.ok(copy() <= most);
  } catch (error) {
    // The mapping is not to blame, nor its disk: the memory of the argument is.
    assert.equal((error as { code: string }).code, 'EFAULT');
  }
}

hazard('a target or source that cannot be touched itself', async () => {
  const path = temporaryFile(content);
  const good = anonymous(size);
  const fixed = map(temporaryFile(content));
  const short = map(path, { access: 'write' });
  const none = anonymous(size, { access: 'none' });
  truncateSync(path, 2 * page);
  falls(() => good.read(fixed.bytes), 0);
  falls(() => good.read(short.bytes), 2 * page);
  falls(() => good.read(short.bytes.subarray(4 * page)), 0);
  falls(() => good.read(none.bytes), 0);
  falls(() => good.write(short.bytes), 2 * page);
  falls(() => good.write(short.bytes.subarray(4 * page)), 0);
  falls(() => good.write(none.bytes), 0);
  for (const mapping of [good, fixed, short, none]) mapping.check();
  assert.ok(fixed.bytes.equals(content));
});

hazard(
  'secret memory (memfd_secret), which system calls cannot read',
  async () => {
    const fd = probe().secret(BigInt(size));
    if (fd < 0) throw new Error('this kernel gives no secret memory');
    const mapping = map(fd, { access: 'write', length: size });
    if (runtime !== 'deno') closeSync(fd); // whose node:fs knows only its own descriptors
    assert.equal(mapping.write(content), size);
    const target = Buffer.alloc(size);
    assert.equal(mapping.read(target, page), size - page);
    assert.ok(target.subarray(0, size - page).equals(content.subarray(page)));
    assert.ok(mapping.bytes.equals(content));
    await isQuiet(mapping);
  },
  { lacks: lacksProbe || lacksSecret() },
);

function lacksSecret(): string | false {
  return probe().secret(4096n) < 0 && 'this kernel has no memfd_secret (or secretmem.enable=0)';
}
