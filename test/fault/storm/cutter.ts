/**
 * A process that cuts a file and lets it grow again until it is told to stop; then it says how
 * often. Run with the path and the size.
 */
import { ftruncateSync, openSync, writeSync } from 'node:fs';
import { random, rightBytes } from './content.ts';

const [path, text] = process.argv.slice(2) as [string, string];
const size = Number(text);
const file = openSync(path, 'r+');
const whole = rightBytes(0, size);
const clock = new Int32Array(new SharedArrayBuffer(4));
let cuts = 0;
let isStopped = false;

process.on('message', () => {
  isStopped = true;
});
process.on('disconnect', () => process.exit());

function work(): void {
  for (let i = 0; i < 16; i++) {
    ftruncateSync(file, random(10) === 0 ? 0 : random(size));
    cuts++;
    if (random(8) === 0) Atomics.wait(clock, 0, 0, Math.random());
    ftruncateSync(file, size);
    const at = random(size);
    writeSync(file, whole, at, Math.min(size - at, 1 + random(64 << 10)), at);
    if (random(8) === 0) Atomics.wait(clock, 0, 0, Math.random());
  }
  if (!isStopped) setImmediate(work);
  else process.send?.({ cuts }, () => process.exit());
}
work();
