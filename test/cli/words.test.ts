import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { countWords } from '#dist/cli/words.js';

/** By the book: what stands between white space. */
const naive = (text: string) => text.split(/[ \t\n\v\f\r]+/).filter((word) => word !== '').length;

test('words are what stands between white space, wherever the text is cut', () => {
  const letters = fc.constantFrom('a', 'é', ' ', '\n', '\t', '\r', '\v', '\f', '\0');
  fc.assert(
    fc.property(fc.array(letters), fc.nat(), (parts, cut) => {
      const text = parts.join('');
      const bytes = Buffer.from(text);
      assert.equal(countWords(bytes).words, naive(text));
      const at = cut % (bytes.length + 1);
      const first = countWords(bytes.subarray(0, at));
      const second = countWords(bytes.subarray(at), first.isInside);
      assert.equal(first.words + second.words, naive(text));
    }),
  );
});
