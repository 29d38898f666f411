/**
 * A thread of the storm. `kind`: `'rounds'` works until it is told to verify; `'doomed'` works
 * until it is terminated; `'churn'` maps and closes.
 */
import { randomFill } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import zlib from 'node:zlib';
import { FaultError, Mapping, type MappingHandle } from 'memmap';
import { random } from './content.ts';
import { mapWhole, Rounds } from './rounds.ts';

export interface StormData {
  kind: 'rounds' | 'doomed' | 'churn';
  path: string;
  handle: MappingHandle;
}

const { kind, path, handle } = workerData as StormData;
const whole = Mapping.attach(handle);
const size = whole.byteLength;
const rounds = new Rounds(path, whole);
let isStopped = false;
let closes = 0;
const closed: Record<string, number> = {};

parentPort?.on('message', (message: string) => {
  if (message === 'stop') {
    isStopped = true;
    setImmediate(() => parentPort?.postMessage('stopped'));
  } else {
    rounds.verify();
    parentPort?.postMessage({ met: rounds.met, closed, closes });
    setImmediate(() => process.exit());
  }
});

function countClosed(error: unknown): void {
  if (!(error instanceof FaultError)) throw error;
  for (const fault of [error, ...error.others]) {
    closed[fault.code] = (closed[fault.code] ?? 0) + 1;
  }
}

/** A mapping of its own, used, and closed while native code is at work on it. */
function churn(): void {
  const shared = random(3) === 0;
  const mapping = mapWhole(path, size, { access: 'write', shared });
  mapping.on('fault', countClosed);
  const window = mapping.window(random(1000), 100_000);
  window.indexOf('not there');
  if (random(50) === 0) {
    randomFill(Buffer.from(mapping.window(0, 10)), () => {});
    zlib.crc32?.(window);
  }
  void window[random(window.length)];
  mapping.close();
  closes++;
}

function work(): void {
  if (isStopped) return;
  if (kind === 'churn') for (let i = 0; i < 5; i++) churn();
  rounds.run();
  setImmediate(work);
}
work();
