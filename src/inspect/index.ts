export { decodePageFlags, type PageFlag, pageFlags } from '../core/pageflags.ts';
export { decodePageEntry, encodePageEntry, type PageEntry } from '../core/pagemap.ts';
export {
  addressBits,
  type PageTableShape,
  type PageWalk,
  type ProcessorFacts,
  pageTableShape,
  type TableLevel,
  walk,
} from '../core/pagetable.ts';
export type { Unknown } from '../core/unknown.ts';
export type { Translation } from '../mapping/translation.ts';
export { type Account, accountOf, addAccounts } from './accounting.ts';
export {
  type AddressSpace,
  type AddressSpaceGroup,
  type AddressSpaceOptions,
  addressSpace,
  type Gap,
  type Grouping,
  gapsBetween,
  groupMaps,
} from './address-space.ts';
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
  type Usage,
} from './limits.ts';
export { readMaps, readRollup, readSmaps, readStat, readStatm, readStatus } from './maps.ts';
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
export { type MapEntry, type MapKind, parseMapLine, parseMaps } from './parse/maps.ts';
export { type MemoryInfo, parseMeminfo } from './parse/meminfo.ts';
export { type Mount, mountOf, parseMountinfo } from './parse/mountinfo.ts';
export {
  parseSmaps,
  parseSmapsRollup,
  type SmapsEntry,
  type SmapsQuantities,
  vmFlags,
} from './parse/smaps.ts';
export { type ProcessStat, parseStat } from './parse/stat.ts';
export { type ProcessStatm, parseStatm } from './parse/statm.ts';
export {
  type Capability,
  hasCapability,
  type ProcessStatus,
  parseStatus,
} from './parse/status.ts';
export { parseSwaps, type SwapDevice } from './parse/swaps.ts';
export { parseVmstat, type VmStatistics } from './parse/vmstat.ts';
export type { ProcessId } from './proc.ts';
export {
  type CacheCell,
  type CacheCounts,
  type FileResidency,
  type ResidencyOptions,
  type ResidencySource,
  residency,
} from './residency.ts';
export {
  type Change,
  diff,
  type MapChange,
  type Snapshot,
  type SnapshotDiff,
  type SnapshotMap,
  snapshot,
} from './snapshot.ts';
export { addressOf, mappingAt, type ProcessTranslation, translate } from './translate.ts';
