/**
 * Files that go away with the process.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let directory: string | undefined;
let count = 0;

const cleaning: (() => void)[] = [];
function cleanUp(): void {
  for (const clean of cleaning.splice(0).reverse()) clean();
}
process.on('exit', cleanUp);
// Deno's test runner ends without the event of Node.
if ('Deno' in globalThis) {
  (globalThis as unknown as EventTarget).addEventListener('unload', cleanUp);
}

/** What is left to do at the end of the process; the last first. */
export function atExit(clean: () => void): void {
  cleaning.push(clean);
}

/** A directory of this test process. */
export function temporaryDirectory(): string {
  if (!directory) {
    const made = mkdtempSync(join(tmpdir(), 'memmap-test-'));
    directory = made;
    atExit(() => rmSync(made, { recursive: true, force: true }));
  }
  return directory;
}

/** A path that nothing has yet. */
export function temporaryPath(name = 'file'): string {
  return join(temporaryDirectory(), `${++count}-${name}`);
}

/** A new file with this content; a number makes that many bytes of a pattern. */
export function temporaryFile(content: Uint8Array | string | number): string {
  const path = temporaryPath();
  writeFileSync(path, typeof content === 'number' ? pattern(content) : content);
  return path;
}

/** Bytes that tell their own place: no two pages, and no two of their neighbours, are alike. */
export function pattern(length: number, seed = 0): Buffer {
  const bytes = Buffer.alloc(length);
  let state = (seed ^ 0x9e3779b9) >>> 0;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}
