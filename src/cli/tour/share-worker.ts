/**
 * A worker thread of the chapter on sharing: attaches to the memory that it is given, and does with
 * it what it is told.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { Mapping, type MappingHandle } from '../../index.ts';
import { countLineFeeds } from './line-feeds.ts';

export interface Task {
  handle: MappingHandle;
  /** Add 1 to the first number so often. */
  additions?: number;
  /** Count the line feeds of this part. */
  part?: { offset: number; length: number };
}

const { handle, additions = 0, part } = workerData as Task;
using memory = Mapping.attach(handle);
if (part) parentPort?.postMessage(countLineFeeds(memory.window(part.offset, part.length)));
else {
  const numbers = memory.view(Int32Array);
  for (let i = 0; i < additions; i++) Atomics.add(numbers, 0, 1);
  parentPort?.postMessage(additions);
}
