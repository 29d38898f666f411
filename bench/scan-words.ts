/**
 * Counts words, as `wc -w` does in the C locale: runs of bytes that are not white space.
 */
export default function countWords(bytes: Uint8Array): number {
  let count = 0;
  let wasSpace = 1;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    const isSpace = byte === 32 || (byte >= 9 && byte <= 13) ? 1 : 0;
    count += wasSpace & (isSpace ^ 1);
    wasSpace = isSpace;
  }
  return count;
}
