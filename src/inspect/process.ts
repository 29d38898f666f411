/**
 * The part of `memmap/inspect` that tells where the memory of a process goes, for a caller to whom
 * the time of loading the rest counts: the command starts in half of it. `index.ts` has all.
 */
export { type Account, accountOf, addAccounts, unknownAccount } from './accounting.ts';
export {
  type AddressSpace,
  type AddressSpaceGroup,
  type AddressSpaceOptions,
  addressSpace,
  addressSpaceAsync,
  type Gap,
  type Grouping,
  gapsBetween,
  groupMaps,
} from './address-space.ts';
export { readMaps, readRollup, readSmaps, readStat, readStatm, readStatus } from './maps.ts';
export { type MapEntry, type MapKind, parseMapLine, parseMaps } from './parse/maps.ts';
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
export type { ProcessId } from './proc.ts';
export {
  type Change,
  diff,
  type MapChange,
  type Snapshot,
  type SnapshotDiff,
  type SnapshotMap,
  snapshot,
} from './snapshot.ts';
