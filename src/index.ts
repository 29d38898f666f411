export { type ErrorDetails, type FaultCode, FaultError, MemmapError } from './core/errors.ts';
export type { Range } from './core/range.ts';
export type { Advice, Discard } from './mapping/advice.ts';
export { anonymous, map } from './mapping/map.ts';
export {
  type FlushOptions,
  type FlushSyncOptions,
  Mapping,
  type MappingFacts,
  type Protection,
  type ViewConstructor,
} from './mapping/mapping.ts';
export type {
  AnonymousAccess,
  AnonymousOptions,
  FileAccess,
  FileLike,
  HasDescriptor,
  HugePages,
  MapOptions,
  MappingAccess,
} from './mapping/options.ts';
export type { MappingHandle } from './mapping/origin.ts';
export { type LockAllOptions, lockAll, pageSize, unlockAll } from './mapping/process.ts';
export type { Residency } from './mapping/residency.ts';
export type { Translation } from './mapping/translation.ts';
export { type MapIntoWasmOptions, mapIntoWasm, type WasmMemory } from './mapping/wasm.ts';
export type { WorkOptions } from './mapping/work.ts';
