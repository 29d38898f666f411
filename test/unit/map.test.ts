import assert from 'node:assert/strict';
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { anonymous, Mapping, map, pageSize } from 'memmap';
import { pattern, temporaryDirectory, temporaryFile, temporaryPath } from '../support/temporary.ts';

const content = pattern(1000);

test('by path, as given', () => {
  const path = temporaryFile(content);
  for (const given of [path, relative(process.cwd(), path)]) {
    using mapping = map(given);
    assert.deepEqual(mapping.bytes, content);
    assert.equal(mapping.path, given);
  }
});

test('through a symbolic link', () => {
  const link = temporaryPath();
  symlinkSync(temporaryFile(content), link);
  using mapping = map(link);
  assert.deepEqual(mapping.bytes, content);
});

test('by URL', () => {
  const path = temporaryPath('with space and ü');
  writeFileSync(path, content);
  using mapping = map(pathToFileURL(path));
  assert.deepEqual(mapping.bytes, content);
  assert.equal(mapping.path, path);
});

test('by descriptor, which stays the caller’s', () => {
  const fd = openSync(temporaryFile(content), 'r');
  using mapping = map(fd);
  assert.equal(mapping.path, null);
  assert.notEqual(mapping.fd, fd);
  closeSync(fd);
  assert.deepEqual(mapping.bytes, content);
  assert.equal(statSync(`/proc/self/fd/${mapping.fd}`).size, content.length);
});

test('by FileHandle, which stays the caller’s', async () => {
  const handle = await open(temporaryFile(content), 'r+');
  using mapping = map(handle, { access: 'write' });
  assert.deepEqual(mapping.bytes, content);
  mapping.close();
  assert.equal((await handle.stat()).size, content.length);
  await handle.close();
  assert.throws(() => map(handle), { code: 'EBADF', hint: /descriptor was closed/ });
});

test('paths of every length', () => {
  let directory = temporaryDirectory();
  while (directory.length < 600) {
    directory = join(directory, 'd'.repeat(100));
    mkdirSync(directory, { recursive: true });
  }
  for (let length = 505; length <= 520; length++) {
    const parent = directory.slice(0, directory.lastIndexOf('/', length - 5));
    const path = join(parent, 'f'.repeat(length - parent.length - 1));
    assert.equal(path.length, length);
    writeFileSync(path, String(length));
    using mapping = map(path);
    assert.equal(mapping.bytes.toString(), String(length));
  }
});

test('the facts', () => {
  const path = temporaryFile(content);
  using mapping = map(path, { offset: 5, length: 100 });
  assert.ok(mapping instanceof Mapping);
  assert.equal(mapping.byteLength, 100);
  assert.equal(mapping.offset, 5);
  assert.equal(mapping.access, 'read');
  assert.equal(mapping.shared, false);
  assert.equal(mapping.closed, false);
  assert.equal(mapping.capacity, 0);
  assert.equal(mapping.address % BigInt(pageSize), 5n);
  assert.match(inspect(mapping), new RegExp(`^Mapping \\{[^]*${path}[^]*byteLength: 100`));
  mapping.close();
  assert.match(inspect(mapping), /^Mapping \(closed\) /);
});

test('its descriptor is not inherited by children', () => {
  using mapping = map(temporaryFile(content));
  const info = readFileSync(`/proc/self/fdinfo/${mapping.fd}`, 'utf8');
  const closeOnExec = 0o2000000;
  assert.ok(Number.parseInt(/^flags:\s+(\d+)$/m.exec(info)?.[1] ?? '', 8) & closeOnExec);
});

test('two mappings of a file are one memory', () => {
  const path = temporaryFile(content);
  using first = map(path, { access: 'write' });
  using second = map(path, { access: 'write' });
  for (let i = 0; i < 10; i++) {
    first.bytes[i] = i;
    assert.equal(second.bytes[i], i);
    second.bytes[i] = 100 + i;
    assert.equal(first.bytes[i], 100 + i);
  }
  using reader = map(path);
  assert.deepEqual(reader.bytes, first.bytes);
});

test('the rest of the last page is zeros and never reaches the file', () => {
  const path = temporaryFile(10);
  using long = map(path, { access: 'write', capacity: pageSize });
  assert.throws(() => long.bytes.writeUInt8(1, 10), { code: 'ERR_OUT_OF_RANGE' });
  assert.equal(statSync(`/proc/self/fd/${long.fd}`).size, 10);
});

test('anonymous memory is zeros that can be stored to', () => {
  using mapping = anonymous(3 * pageSize + 1);
  assert.ok(mapping.bytes.every((byte) => byte === 0));
  mapping.bytes.fill(255);
  assert.ok(mapping.bytes.every((byte) => byte === 255));
  assert.equal(mapping.path, null);
  assert.equal(mapping.fd, -1);
  assert.equal(mapping.access, 'write');
});

test('mappings are made by map and anonymous only', () => {
  const Constructor = Mapping as unknown as new (...a: unknown[]) => Mapping;
  assert.throws(() => new Constructor(), { name: 'TypeError', message: /call map\(\)/ });
  assert.throws(() => new Constructor(Symbol('making'), {}), TypeError);
});
