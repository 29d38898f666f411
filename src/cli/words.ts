/**
 * Words of a part of a file, as `wc -w` counts them: what stands between white space. The default
 * export also runs in worker threads, on slices that end behind a newline.
 */

/** 1 for the white space of ASCII. */
const space = new Uint8Array(256);
for (const byte of [9, 10, 11, 12, 13, 32]) space[byte] = 1;

/** @param isInside Whether the byte before belongs to a word. */
export function countWords(
  bytes: Uint8Array,
  isInside = false,
): { words: number; isInside: boolean } {
  let words = 0;
  let before = isInside ? 0 : 1;
  for (let i = 0; i < bytes.length; i++) {
    const now = space[bytes[i] as number] as number;
    words += before & (now ^ 1);
    before = now;
  }
  return { words, isInside: before === 0 };
}

export default function wordsOfSlice(slice: Uint8Array): number {
  return countWords(slice).words;
}
