export {
  type CountOptions,
  type CountSyncOptions,
  count,
  countSync,
  lineCount,
  lineCountSync,
  type Overlapping,
} from './count.ts';
export { find, findLast, findLastSync, findSync } from './find.ts';
export { findAll, findAllSync } from './find-all.ts';
export { LineIndex, type LineIndexOptions } from './line-index.ts';
export { lines } from './lines.ts';
export { type Match, type MatchesOptions, matches } from './matches.ts';
export { type MapParallelOptions, mapParallel, type SliceInfo } from './parallel.ts';
export type { Pattern } from './pattern.ts';
export type { ScanOptions, ScanRange, ScanSyncOptions } from './scan.ts';
