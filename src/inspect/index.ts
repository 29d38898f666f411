export { decodePageFlags, type PageFlag, pageFlags } from '../core/pageflags.ts';
export { decodePageEntry, encodePageEntry, type PageEntry } from '../core/pagemap.ts';
export {
  type AddressHalf,
  addressBits,
  addressHalf,
  type PageTableShape,
  type PageWalk,
  type ProcessorFacts,
  pageTableShape,
  type TableLevel,
  walk,
} from '../core/pagetable.ts';
export type { Unknown } from '../core/unknown.ts';
export type { Translation } from '../mapping/translation.ts';
export { diagnose } from './diagnose.ts';
export {
  type Check,
  type CheckGroup,
  type CheckStatus,
  type Needs,
  sizeInWords,
} from './diagnosis.ts';
export { type Eviction, type EvictOptions, evict, pageOut, type Reason } from './evict.ts';
export { type Cause, type Explanation, explain, explanations } from './explain.ts';
export { type PageFaults, pageFaults } from './faults.ts';
export { type Holder, type Holders, holders } from './holders.ts';
export {
  type HugePagePool,
  type Limits,
  limits,
  readMeminfo,
  readVmstat,
  type TransparentSize,
  type Usage,
} from './limits.ts';
export {
  type AddressRange,
  comparePages,
  type PageComparison,
  type PageRun,
  type PagesCompared,
  readPageEntries,
  scanPages,
} from './pages.ts';
export { type MemoryGroup, parseMemoryGroup } from './parse/cgroup.ts';
export {
  parseLimits,
  type Resource,
  type ResourceLimit,
  type ResourceLimits,
} from './parse/limits.ts';
export { type MemoryInfo, parseMeminfo } from './parse/meminfo.ts';
export { type Mount, mountOf, parseMountinfo } from './parse/mountinfo.ts';
export { parseSwaps, type SwapDevice } from './parse/swaps.ts';
export { parseVmstat, type VmStatistics } from './parse/vmstat.ts';
export * from './process.ts';
export {
  type CacheCell,
  type CacheCounts,
  type FileResidency,
  type ResidencyOptions,
  type ResidencySource,
  residency,
} from './residency.ts';
export {
  addressOf,
  addressOfFile,
  mappingAt,
  type ProcessTranslation,
  translate,
} from './translate.ts';
