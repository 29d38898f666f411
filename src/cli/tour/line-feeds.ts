/** How many lines end in these bytes: the work that threads divide in the tour. */
export function countLineFeeds(bytes: Uint8Array): number {
  let count = 0;
  for (let i = 0; i < bytes.length; i++) if (bytes[i] === 10) count++;
  return count;
}

/** For mapParallel(), which calls what a module exports by default. */
export default countLineFeeds;
