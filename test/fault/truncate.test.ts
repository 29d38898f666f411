/**
 * A file that is cut under its mapping: zeros and a report instead of SIGBUS.
 */
import assert from 'node:assert/strict';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { map, pageSize } from 'memmap';
import { countMappings, faultOf, pendingFault } from '../support/fault.ts';
import { hazard } from '../support/hazard.ts';
import { pattern, temporaryFile } from '../support/temporary.ts';

const page = pageSize;
const code = 'ERR_MEMMAP_TRUNCATED';

hazard('a load behind the end gives zero and one report that says where', () => {
  const path = temporaryFile(8 * page);
  const mapping = map(path);
  const { bytes } = mapping;
  truncateSync(path, 2 * page);
  assert.equal(bytes[5 * page + 7], 0);
  const fault = pendingFault(mapping, code);
  assert.equal(fault.offset, 5 * page + 7);
  assert.equal(fault.address, mapping.address + BigInt(5 * page + 7));
  assert.equal(fault.access, 'read');
  assert.equal(fault.path, path);
  assert.equal(fault.thread, process.pid);
  assert.equal(fault.count, 1);
  assert.deepEqual(fault.others, []);
  assert.match(fault.message, /^Cannot read byte \d+ of /);
  mapping.check();
});

hazard('what is left of the file goes on: loads, and stores that reach it', () => {
  const content = pattern(4 * page);
  const path = temporaryFile(content);
  const mapping = map(path, { access: 'write' });
  const { bytes } = mapping;
  truncateSync(path, 2 * page);
  assert.ok(bytes.subarray(2 * page).equals(Buffer.alloc(2 * page)));
  bytes.write('stored while the tail is patched', page);
  assert.ok(bytes.subarray(0, page).equals(content.subarray(0, page)));
  pendingFault(mapping, code);
  assert.equal(readFileSync(path).toString('latin1', page, page + 6), 'stored');
  assert.equal(readFileSync(path).length, 2 * page);
});

hazard('a store behind the end is thrown away and reported', () => {
  const path = temporaryFile(4 * page);
  const mapping = map(path, { access: 'write' });
  const { bytes } = mapping;
  truncateSync(path, page);
  bytes[3 * page] = 0xee;
  const fault = pendingFault(mapping, code);
  assert.equal(fault.access, 'write');
  assert.equal(fault.offset, 3 * page);
  truncateSync(path, 4 * page);
  assert.equal(bytes[3 * page], 0);
  assert.equal(readFileSync(path)[3 * page], 0);
  mapping.check();
});

hazard('once reported, a file that grew again shows its real bytes', () => {
  const path = temporaryFile(16 * page);
  const mapping = map(path, { access: 'write' });
  const { bytes } = mapping;
  for (let round = 1; round <= 50; round++) {
    truncateSync(path, (round % 16) * page);
    assert.equal(bytes[16 * page - 1], 0);
    bytes[16 * page - 2] = 1;
    const next = pattern(16 * page, round);
    writeFileSync(path, next, { flag: 'r+' });
    pendingFault(mapping, code);
    assert.ok(bytes.equals(next), `round ${round}`);
    bytes[16 * page - 1] = round;
    assert.equal(readFileSync(path)[16 * page - 1], round);
    mapping.check();
  }
});

hazard('a file that grew before anything was touched is no fault', () => {
  const content = pattern(4 * page);
  const path = temporaryFile(content);
  const mapping = map(path);
  assert.ok(mapping.bytes.equals(content));
  truncateSync(path, 0);
  writeFileSync(path, content, { flag: 'r+' });
  assert.ok(mapping.bytes.equals(content));
  mapping.check();
});

hazard('the end inside a page: zeros behind it, and no fault before the next page', () => {
  const content = pattern(4 * page);
  const path = temporaryFile(content);
  const mapping = map(path);
  truncateSync(path, page + 100);
  assert.ok(mapping.bytes.subarray(0, page + 100).equals(content.subarray(0, page + 100)));
  assert.ok(mapping.bytes.subarray(page + 100, 2 * page).equals(Buffer.alloc(page - 100)));
  mapping.check();
  assert.equal(mapping.bytes[2 * page], 0);
  assert.equal(pendingFault(mapping, code).offset, 2 * page);
});

hazard('odd offsets: the report counts from the start of the file', () => {
  const offset = page + 905;
  const length = 4 * page + 77;
  const content = pattern(8 * page);
  const path = temporaryFile(content);
  const mapping = map(path, { offset, length });
  truncateSync(path, 3 * page);
  const left = 3 * page - offset;
  const expected = Buffer.alloc(length);
  content.copy(expected, 0, offset, 3 * page);
  assert.ok(mapping.bytes.equals(expected));
  const fault = pendingFault(mapping, code);
  assert.equal(fault.offset, 3 * page);
  assert.equal(fault.address, mapping.address + BigInt(left));
  writeFileSync(path, content, { flag: 'r+' });
  assert.ok(mapping.bytes.equals(content.subarray(offset, offset + length)));
  mapping.check();
});

hazard('cut to nothing', () => {
  const path = temporaryFile(3 * page);
  const mapping = map(path);
  truncateSync(path, 0);
  assert.ok(mapping.bytes.equals(Buffer.alloc(3 * page)));
  assert.equal(pendingFault(mapping, code).offset, 0);
});

hazard("a 'copy' loses what it had copied, and says so", () => {
  const path = temporaryFile(4 * page);
  const mapping = map(path, { access: 'copy' });
  const { bytes } = mapping;
  bytes[2 * page] = 0xaa;
  bytes[0] = 0xbb;
  truncateSync(path, page);
  assert.equal(bytes[2 * page], 0);
  assert.equal(bytes[0], 0xbb);
  pendingFault(mapping, code);
  assert.equal(bytes[0], 0xbb);
});

hazard('each mapping of the file has a report of its own', () => {
  const path = temporaryFile(4 * page);
  const all = [map(path), map(path, { access: 'write' }), map(path, { shared: true })];
  all.push(map(path, { offset: page }), map(path, { access: 'copy' }));
  const bytes = all.map((mapping) => mapping.bytes);
  truncateSync(path, page);
  for (const each of bytes) assert.equal(each[each.length - 1], 0);
  for (const mapping of all) assert.equal(pendingFault(mapping, code).offset, 4 * page - 1);
  for (const mapping of all) mapping.check();
});

hazard('windows and views fault as the whole does', () => {
  const path = temporaryFile(8 * page);
  const mapping = map(path, { access: 'write' });
  const window = mapping.window(5 * page + 3, 100);
  const view = mapping.view(Float64Array, 6 * page, 16);
  const data = mapping.dataView(7 * page);
  truncateSync(path, page);
  assert.deepEqual(window, Buffer.alloc(100));
  assert.equal(pendingFault(mapping, code).offset, 5 * page + 3);
  assert.equal(view[0], 0);
  assert.equal(pendingFault(mapping, code).offset, 6 * page);
  data.setUint32(0, 1);
  assert.equal(pendingFault(mapping, code).access, 'write');
});

hazard('behind the current length of a mapping with capacity', () => {
  const path = temporaryFile(2 * page);
  const mapping = map(path, { access: 'write', shared: true, capacity: 8 * page });
  const all = new Uint8Array(mapping.buffer, 0, 8 * page);
  assert.equal(all[6 * page], 0);
  all[7 * page] = 1;
  pendingFault(mapping, code);
  mapping.resize(8 * page);
  assert.equal(all[7 * page], 0);
  all[7 * page] = 2;
  mapping.check();
  assert.equal(readFileSync(path)[7 * page], 2);
});

hazard('a resize after a cut starts from what the file is now', () => {
  const path = temporaryFile(8 * page);
  const mapping = map(path, { access: 'write' });
  truncateSync(path, page);
  assert.equal(mapping.bytes[7 * page], 0);
  faultOf(code, () => mapping.resize(4 * page));
  mapping.resize(4 * page);
  mapping.bytes.fill(7);
  mapping.check();
  assert.ok(readFileSync(path).equals(Buffer.alloc(4 * page, 7)));
});

hazard('thousands of cuts leave no mappings behind', () => {
  const path = temporaryFile(64 * page);
  const mapping = map(path, { access: 'write' });
  const { bytes } = mapping;
  const before = countMappings();
  for (let round = 0; round < 3000; round++) {
    truncateSync(path, ((round * 7) % 63) * page);
    bytes[63 * page + (round % page)] = 1;
    truncateSync(path, 64 * page);
    pendingFault(mapping, code);
  }
  assert.ok(countMappings() < before + 20, `${before} mappings became ${countMappings()}`);
});

hazard('the count is of faults: one a cut for the whole tail', () => {
  const path = temporaryFile(256 * page);
  const mapping = map(path);
  truncateSync(path, page);
  for (let at = 0; at < mapping.byteLength; at += 64) void mapping.bytes[at];
  assert.ok(mapping.bytes.subarray(page).equals(Buffer.alloc(255 * page)));
  assert.equal(pendingFault(mapping, code).count, 1);
});
