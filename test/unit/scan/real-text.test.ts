/** Text that people wrote, against JavaScript's own ways with it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { map } from 'memmap';
import { countSync, findAllSync, findLastSync, LineIndex, lines, matches } from 'memmap/scan';

const files = ['package-lock.json', 'docs/mapping.md', 'node_modules/typescript/NOTICE.txt'];

for (const name of files) {
  const file = new URL(`../../../../${name}`, import.meta.url);
  const text = readFileSync(file, 'utf8');
  test(name, async () => {
    using mapping = map(file);
    const bytes = Buffer.from(text);
    for (const word of ['the', 'e', 'Software', '"integrity"', '\n\n', '----', 'absent word']) {
      assert.equal(countSync(mapping, word, { threads: 2 }), text.split(word).length - 1);
      assert.equal(findLastSync(mapping, word), bytes.lastIndexOf(word));
      let at = -1;
      for (const offset of findAllSync(mapping, word, { overlapping: true })) {
        at = bytes.indexOf(word, at + 1);
        assert.equal(offset, at);
      }
      assert.equal(bytes.indexOf(word, at + 1), -1);
    }
    const rows = text.split(/\r?\n/);
    if (rows.at(-1) === '') rows.pop();
    assert.deepEqual([...lines(mapping)].map(String), rows);
    const index = await LineIndex.build(mapping);
    for (let n = 0; n < rows.length; n += 97) assert.equal(String(index.line(n)), rows[n]);
    const capitals = /\b[A-Z][a-z]+\b/g;
    const found = [...matches(mapping, capitals, { windowLength: 10_000 })];
    assert.deepEqual(
      found.map(({ match }) => match[0]),
      text.match(capitals) ?? [],
    );
  });
}
