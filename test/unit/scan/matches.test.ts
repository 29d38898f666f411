import assert from 'node:assert/strict';
import { test } from 'node:test';
import { map } from 'memmap';
import { matches } from 'memmap/scan';
import { temporaryFile } from '../../support/temporary.ts';

test('matches with groups, in bytes of the mapping', () => {
  using mapping = map(temporaryFile('id=1 €\nid=22\r\nid=x\n'));
  const found = [...matches(mapping, /id=(\d+)/)];
  assert.deepEqual(
    found.map(({ offset, byteLength, match }) => [offset, byteLength, match[1]]),
    [
      [0, 4, '1'],
      [9, 5, '22'],
    ],
  );
});

test('bytes that are not UTF-8 are refused, or taken as latin1', () => {
  using mapping = map(temporaryFile(Buffer.from([0xff, 0x0a, 0x41, 0xe9])));
  assert.throws(() => [...matches(mapping, /A/)], { code: 'ERR_MEMMAP_ENCODING' });
  const [match] = matches(mapping, /Aé/, { encoding: 'latin1' });
  assert.equal(match?.offset, 2);
  assert.equal(match?.byteLength, 2);
});

test('arguments are checked', () => {
  using mapping = map(temporaryFile('a'));
  const code = 'ERR_INVALID_ARG_TYPE';
  assert.throws(() => matches(mapping, 'a' as never), { code });
  assert.throws(() => matches(mapping, /a/y), { code });
  assert.throws(() => matches(mapping, /a/, { encoding: 'utf16' as never }), { code });
  assert.throws(() => matches(mapping, /a/, { windowLength: 0 }), { code: 'ERR_OUT_OF_RANGE' });
});

test('a line longer than a window is one window', () => {
  using mapping = map(temporaryFile(`${'x'.repeat(5000)}end\nend`));
  const offsets = [...matches(mapping, /end$/, { windowLength: 10 })].map(({ offset }) => offset);
  assert.deepEqual(offsets, [5000, 5004]);
});
