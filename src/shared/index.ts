export {
  type CreateOptions,
  type OpenOptions,
  SharedMemory,
  type SharedMemoryEntry,
} from './shared-memory.ts';
