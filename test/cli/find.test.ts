import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkDocument, memmap, memmapJson, publicPath } from '../support/command.ts';
import { asNobody, lacksCommand, lacksRoot, needs } from '../support/machine.ts';
import { temporaryDirectory, temporaryFile, temporaryPath } from '../support/temporary.ts';

interface Match {
  offset: number;
  length: number;
  line: number | null;
  text: string | null;
  hex: string | null;
}
interface Document {
  count: number;
  matches: Match[];
}

const text = 'one two\nthree TWO four\n\ntwotwo\nlast two';

test('lines that contain it, as grep -F; 1 when there are none', async () => {
  const path = temporaryFile(text);
  const found = await memmap(['find', 'two', path]);
  assert.deepEqual(
    [found.code, found.stdout, found.stderr],
    [0, 'one two\ntwotwo\nlast two\n', ''],
  );
  const none = await memmap(['find', 'five', path]);
  assert.deepEqual([none.code, none.stdout, none.stderr], [1, '', '']);
});

test('counts, offsets, matches only, the first few', async () => {
  const path = temporaryFile(text);
  const stdout = async (...args: string[]) => (await memmap(['find', ...args, path])).stdout;
  assert.equal(await stdout('-c', 'two'), '3\n');
  assert.equal(await stdout('-oc', 'two'), '4\n');
  assert.equal(await stdout('-ob', 'two'), '4:two\n24:two\n27:two\n36:two\n');
  assert.equal(await stdout('-b', 'two'), '0:one two\n24:twotwo\n31:last two\n');
  assert.equal(await stdout('-m', '2', 'two'), 'one two\ntwotwo\n');
  assert.equal(await stdout('-i', 'two'), 'one two\nthree TWO four\ntwotwo\nlast two\n');
  assert.equal(await stdout('-c', 'five'), '0\n');
});

test('bytes in hexadecimal, other ends of lines, and a part of the file', async () => {
  const path = temporaryFile(Buffer.from('a\0b\0\xff\xfe\0', 'latin1'));
  const { stdout } = await memmap(['find', '--null-data', '--hex', '62', path]);
  assert.equal(stdout, 'b\0');
  const { document } = await memmapJson<Document>(['find', '-o', '--hex', 'ff:fe', path]);
  const match = { offset: 4, length: 2, line: null, text: null, hex: 'fffe' };
  assert.deepEqual(document.matches, [match]);
  const part = await memmap(['find', '-ob', '--range', '5-30', 'two', temporaryFile(text)]);
  assert.equal(part.stdout, '24:two\n27:two\n');
  assert.equal((await memmap(['find', '--hex', 'xy', path])).code, 2);
});

test('upper and lower case of letters beyond ASCII', async () => {
  const path = temporaryFile('ÄRGER\nruhe\närger');
  assert.equal((await memmap(['find', '-i', 'ärger', path])).stdout, 'ÄRGER\närger\n');
  const broken = temporaryFile(Buffer.from([0xff, 0x61, 0x0a, 0x41]));
  assert.equal((await memmap(['find', '-ci', 'a', broken])).stdout, '2\n');
});

test('a stream has a document for each match, and one at the end', async () => {
  const { stdout } = await memmap(['find', '--ndjson', 'two', temporaryFile(text)]);
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => checkDocument<Record<string, unknown>>(line));
  assert.deepEqual(
    lines.map(({ type }) => type),
    ['match', 'match', 'match', 'summary'],
  );
  assert.equal(lines.at(-1)?.count, 3);
});

test('-v tells time, speed and faults, on stderr', async () => {
  const { stderr } = await memmap(['find', '-v', 'two', temporaryFile(text)]);
  assert.match(stderr, /3 found in .*\/s, \d+ minor and \d+ major faults/);
});

test('trouble: 2 and 3', needs(lacksRoot), async () => {
  assert.equal((await memmap(['find', 'x', temporaryPath('missing')])).code, 2);
  assert.equal((await memmap(['find', 'x', temporaryDirectory()])).code, 2);
  const closed = publicPath();
  writeFileSync(closed, 'x', { mode: 0o600 });
  assert.equal((await memmap(['find', 'x', closed], { prefix: asNobody })).code, 3);
});

test('an empty file holds nothing', async () => {
  assert.equal((await memmap(['find', 'x', temporaryFile('')])).code, 1);
});

test('the same as grep, whatever the text', needs(lacksCommand('grep')), async () => {
  const word = fc.constantFrom('a', 'b', 'ab', 'aa', '\n', ' ', 'aaaa', '\n\n');
  const texts = fc.array(word, { maxLength: 300 }).map((parts) => parts.join(''));
  const pattern = fc.constantFrom('a', 'ab', 'aa', 'ba', ' a');
  await fc.assert(
    fc.asyncProperty(texts, pattern, fc.constantFrom('-b', '-ob'), async (content, what, how) => {
      const path = temporaryFile(content);
      const own = await memmap(['find', how, what, path]);
      const grep = spawnSync('grep', ['-aF', how, '-e', what, path], { encoding: 'utf8' });
      assert.deepEqual([own.stdout, own.code], [grep.stdout, grep.status]);
    }),
    { numRuns: 15 },
  );
});

test(
  'lines and matches across the windows that it works in',
  needs(lacksCommand('grep')),
  async () => {
    const filler = 'x'.repeat(70_000);
    const lines = Array.from({ length: 60 }, (_, i) => (i % 7 === 0 ? `${filler}needle` : filler));
    const path = temporaryFile(lines.join('\n'));
    for (const how of ['-b', '-ob']) {
      const own = await memmap(['find', how, 'needle', path]);
      const grep = spawnSync('grep', ['-F', how, 'needle', path], {
        encoding: 'utf8',
        maxBuffer: 2 ** 26,
      });
      assert.ok(own.stdout === grep.stdout, `${how}: ${own.stdout.length} ${grep.stdout.length}`);
    }
  },
);

test('of a line without an end only what is around the match is shown', async () => {
  const path = temporaryFile(`${'x'.repeat(3 * 2 ** 20)}needle${'y'.repeat(2 ** 20)}`);
  const { stdout } = await memmap(['find', 'needle', path]);
  assert.equal(stdout, `${'x'.repeat(200)}needle${'y'.repeat(200)}\n`);
});
