import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { appendFileSync, openSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { anonymous, map } from 'memmap';
import { LineIndex, lines } from 'memmap/scan';
import { temporaryFile, temporaryPath } from '../../support/temporary.ts';

const text = Array.from({ length: 50_000 }, (_, n) => `line ${n} ${'.'.repeat(n % 40)}\n`).join('');

test('finds lines by number, and the number of a byte', async () => {
  using mapping = map(temporaryFile(text));
  const index = await LineIndex.build(mapping, { threads: 2 });
  assert.equal(index.lineCount, 50_000);
  let n = 0;
  for (const line of lines(mapping)) assert.deepEqual(index.line(n++), line);
  assert.equal(index.lineAt(0), 0);
  assert.equal(index.lineAt(text.length - 1), 49_999);
  assert.throws(() => index.line(50_000), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => index.line(-1), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => index.lineAt(text.length), { code: 'ERR_OUT_OF_RANGE' });
});

test('is saved, loaded, and refused when the file has changed', async () => {
  const path = temporaryFile(text);
  const saved = temporaryPath('index');
  {
    using mapping = map(path);
    await (await LineIndex.build(mapping)).save(saved);
    const index = await LineIndex.load(mapping, saved);
    assert.equal(String(index.line(4711)), `line 4711 ${'.'.repeat(4711 % 40)}`);
    using part = map(path, { offset: 4096 });
    await assert.rejects(LineIndex.load(part, saved), { code: 'ERR_MEMMAP_STALE_INDEX' });
  }
  utimesSync(path, 1, 1);
  using mapping = map(path);
  await assert.rejects(LineIndex.load(mapping, saved), { code: 'ERR_MEMMAP_STALE_INDEX' });
  appendFileSync(path, 'more');
  using grown = map(path);
  await assert.rejects(LineIndex.load(grown, saved), { code: 'ERR_MEMMAP_STALE_INDEX' });
});

test('a damaged index, and one of something else, is refused', async () => {
  const path = temporaryFile(text);
  const saved = temporaryPath('index');
  using mapping = map(path);
  await (await LineIndex.build(mapping)).save(saved);
  const bytes = readFileSync(saved);
  const broken = [
    Buffer.alloc(0),
    Buffer.from('null\n'),
    Buffer.from('not json\n'),
    bytes.subarray(0, bytes.length - 1),
    Buffer.concat([bytes.subarray(0, bytes.length - 1), Buffer.from([99])]),
  ];
  for (const content of broken) {
    writeFileSync(saved, content);
    await assert.rejects(LineIndex.load(mapping, saved), { code: 'ERR_MEMMAP_STALE_INDEX' });
  }
  await assert.rejects(LineIndex.load(mapping, `${saved}.none`), { code: 'ENOENT' });
  // Whoever writes the file can make its checksum fit.
  const end = bytes.indexOf(10);
  const { checksum: _, ...header } = JSON.parse(bytes.toString('utf8', 0, end));
  const counts = bytes.subarray(end + 1);
  const forge = (change: object, numbers = counts) => {
    const signed = { ...header, ...change };
    const checksum = createHash('sha256').update(JSON.stringify(signed)).update(numbers);
    const text = JSON.stringify({ ...signed, checksum: checksum.digest('hex') });
    writeFileSync(saved, Buffer.concat([Buffer.from(`${text}\n`), numbers]));
    return LineIndex.load(mapping, saved);
  };
  await forge({});
  const impossible = [
    ...[0, -65536, 1, 2 ** 45, 'x', null].map((blockBytes) => ({ blockBytes })),
    ...[-5, 1e15, '3', null, header.lineCount + 2].map((lineCount) => ({ lineCount })),
  ];
  for (const change of impossible) {
    await assert.rejects(forge(change), { code: 'ERR_MEMMAP_STALE_INDEX' }, JSON.stringify(change));
  }
  for (const numbers of [Buffer.alloc(0), Buffer.concat([counts, counts]), Buffer.alloc(4, 255)]) {
    await assert.rejects(forge({}, numbers), { code: 'ERR_MEMMAP_STALE_INDEX' });
  }
  using memory = anonymous(100);
  const index = await LineIndex.build(memory);
  assert.equal(index.lineCount, 1);
  await assert.rejects(index.save(saved), { code: 'ERR_MEMMAP_UNSUPPORTED' });
});

test('text that has changed under the index is seen where lines are missing', async () => {
  using mapping = map(temporaryFile('a\nb\nc\n'), { access: 'write' });
  const index = await LineIndex.build(mapping);
  mapping.write(Buffer.from('xxxxxx'));
  assert.throws(() => index.line(2), { code: 'ERR_MEMMAP_STALE_INDEX' });
  mapping.resize(3);
  assert.throws(() => index.line(0), { code: 'ERR_MEMMAP_STALE_INDEX' });
  mapping.close();
  assert.throws(() => index.line(0), { code: 'ERR_MEMMAP_CLOSED' });
});

test('a file that was mapped by a descriptor has an index as well, and it is compared', async () => {
  const path = temporaryFile('aaaa\nbbbb\ncccc\n');
  const saved = temporaryPath('index');
  {
    using mapping = map(openSync(path, 'r'));
    await (await LineIndex.build(mapping)).save(saved);
    assert.equal((await LineIndex.load(mapping, saved)).lineCount, 3);
  }
  using other = map(openSync(temporaryFile('xx\nyyyyyyy\nzzz\n'), 'r'));
  await assert.rejects(LineIndex.load(other, saved), { code: 'ERR_MEMMAP_STALE_INDEX' });
  using memory = anonymous(15);
  await assert.rejects(LineIndex.load(memory, saved), { code: 'ERR_MEMMAP_UNSUPPORTED' });
});
