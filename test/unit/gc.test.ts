import assert from 'node:assert/strict';
import { test } from 'node:test';
import { map, pageSize } from 'memmap';
import { collect, runtime } from '../runtime/runtime.ts';
import { collected, lacksKernel, mappingsOf, needs, openDescriptors } from '../support/machine.ts';
import { pattern, temporaryFile } from '../support/temporary.ts';

const kernel = needs(lacksKernel);
const length = 4 * pageSize;
/** The collector of Bun looks at the stack, and keeps what looks like a pointer there. */
const stays = runtime === 'bun' ? 10 : 0;

function isForgotten(path: string): boolean {
  return mappingsOf(path).length <= stays;
}

test('a forgotten mapping is unmapped and its descriptor closed', kernel, async () => {
  const path = temporaryFile(length);
  map(path).close(); // the first one opens what the library itself needs
  const before = openDescriptors();
  for (let i = 0; i < 50; i++) map(path).read(Buffer.alloc(1));
  assert.equal(mappingsOf(path).length > 0, true);
  assert.ok(await collected(() => isForgotten(path)));
  assert.equal(openDescriptors(), before + mappingsOf(path).length);
});

test('also one whose buffers are forgotten with it', kernel, async () => {
  const path = temporaryFile(length);
  const forget = () => {
    const mapping = map(path);
    assert.equal(mapping.bytes.length + mapping.window(1, 2).length, length + 2);
  };
  for (let i = 0; i < 50; i++) forget();
  assert.ok(await collected(() => isForgotten(path)));
});

async function turnAndCollect(): Promise<void> {
  collect();
  await new Promise((resolve) => setTimeout(resolve, 1));
}

const makers = {
  bytes: (path: string) => map(path).bytes,
  window: (path: string) => map(path).window(0, length - 1),
  view: (path: string) => Buffer.from(map(path).view(Uint8Array).buffer),
  dataView: (path: string) => Buffer.from(map(path).dataView().buffer),
  subarray: (path: string) => map(path).bytes.subarray(0, 10),
};

for (const [name, make] of Object.entries(makers)) {
  test(`${name} alone keeps the mapping alive`, kernel, async () => {
    const path = temporaryFile(length);
    const content = pattern(length);
    const kept = Array.from({ length: 50 }, () => make(path));
    for (let round = 0; round < 5; round++) await turnAndCollect();
    assert.equal(mappingsOf(path).length, 50);
    assert.ok(kept.every((bytes) => bytes.equals(content.subarray(0, bytes.length))));
    kept.length = 0;
    assert.ok(await collected(() => isForgotten(path)));
  });
}

test('addresses come back when the last buffer is collected', kernel, async () => {
  const before = mappingsOf().length;
  let windows: Buffer[] = [];
  for (let i = 0; i < 200; i++) {
    const mapping = map(temporaryFile(length));
    windows.push(mapping.window(i % length, 1));
    mapping.close();
  }
  assert.ok(windows.every((window) => window.length === 0));
  windows = [];
  assert.ok(await collected(() => mappingsOf().length - before < 10));
});

test('a shared mapping that is closed gives its memory back', needs(lacksKernel), async () => {
  const path = temporaryFile(length);
  for (let i = 0; i < 50; i++) {
    const mapping = map(path, { shared: true });
    assert.ok(mapping.bytes.equals(pattern(length)));
    mapping.close();
  }
  assert.equal(mappingsOf(path).length, 0);
  const before = mappingsOf().length;
  for (let round = 0; round < 5; round++) await turnAndCollect();
  assert.ok(mappingsOf().length <= before);
});
