import assert from 'node:assert/strict';
import { openSync, readFileSync, truncateSync } from 'node:fs';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { mapParallel } from 'memmap/scan';
import { runModule } from '../../support/child.ts';
import { temporaryFile } from '../../support/temporary.ts';

/** In base64: Bun takes a URL with a dot in it for that of a file to be copied. */
const module = (source: string) =>
  new URL(`data:text/javascript;base64,${Buffer.from(source).toString('base64')}`);
const text = Array.from({ length: 20_000 }, (_, n) => `record ${n}\n`).join('');
const sliceText = module(`export default (slice, { index, offset, argument }) =>
  ({ index, offset, argument, text: slice.toString() })`);

interface Seen {
  index: number;
  offset: number;
  argument: unknown;
  text: string;
}

test('slices are whole records, in order, and make up the file', async () => {
  for (const boundary of ['\n', 'record ', Buffer.from('9\nrecord')]) {
    const path = temporaryFile(text);
    const progress: number[] = [];
    const slices = await mapParallel<Seen>(path, sliceText, {
      boundary,
      workers: 2,
      sliceLength: 10_000,
      argument: { some: ['thing'] },
      onProgress: ({ done, total }) => {
        assert.equal(total, text.length);
        progress.push(done);
      },
    });
    assert.ok(slices.length > 10);
    assert.equal(slices.map((slice) => slice.text).join(''), text);
    let offset = 0;
    for (const [n, slice] of slices.entries()) {
      assert.equal(slice.index, n);
      assert.equal(slice.offset, offset);
      assert.deepEqual(slice.argument, { some: ['thing'] });
      if (n < slices.length - 1) assert.ok(slice.text.endsWith(String(boundary)));
      offset += slice.text.length;
    }
    assert.equal(progress.length, slices.length);
    assert.equal(progress.at(-1), text.length);
  }
});

test('takes descriptors and URLs; an empty file has no slices; a file without border is one', async () => {
  const path = temporaryFile(text);
  assert.equal((await mapParallel<Seen>(openSync(path, 'r'), sliceText))[0]?.text, text);
  assert.equal((await mapParallel<Seen>(pathToFileURL(path), sliceText))[0]?.text, text);
  assert.deepEqual(await mapParallel(temporaryFile(''), sliceText), []);
  const options = { boundary: '\0', sliceLength: 100 };
  assert.equal((await mapParallel<Seen>(path, sliceText, options)).length, 1);
});

test('workers are reused, also by calls at the same time', async () => {
  const path = temporaryFile(text);
  const whoami = module(`import { threadId } from 'node:worker_threads';
    export default () => threadId`);
  const ids = new Set<unknown>();
  for (let i = 0; i < 5; i++) {
    for (const id of await mapParallel(path, whoami, { workers: 2, sliceLength: 9000 }))
      ids.add(id);
  }
  assert.equal(ids.size, 2);
  const calls = Array.from({ length: 4 }, () =>
    mapParallel<Seen>(path, sliceText, { workers: 2, sliceLength: 9000 }),
  );
  for (const slices of await Promise.all(calls)) {
    assert.equal(slices.map((slice) => slice.text).join(''), text);
  }
});

test('async functions are awaited, their slice open until then', async () => {
  const slow = module(`import { setTimeout } from 'node:timers/promises';
    export default async (slice) => { await setTimeout(20); return slice.length }`);
  const lengths = await mapParallel<number>(temporaryFile(text), slow, { sliceLength: 50_000 });
  assert.equal(
    lengths.reduce((a, b) => a + b),
    text.length,
  );
});

test('errors are clear and end the call', async () => {
  const path = temporaryFile(text);
  const fails = async (source: string, message: RegExp, cause?: object) => {
    const call = mapParallel(path, module(source), { workers: 2, sliceLength: 9000 });
    await assert.rejects(call, (error: Error & { code: string }) => {
      assert.equal(error.code, 'ERR_MEMMAP_WORKER');
      assert.match(error.message, message);
      if (cause)
        assert.deepEqual({ ...(error.cause as object), ...cause }, { ...(error.cause as object) });
      return true;
    });
  };
  await fails('export const other = 1', /default export; it has none/);
  await fails('export default 5', /default export; it has one of type number/);
  await fails('syntax error', /the module cannot be used/);
  await fails('export default () => { throw new RangeError("too bad") }', /threw: too bad/);
  await fails('export default async () => { throw 5 }', /threw: 5/);
  await fails('export default () => () => {}', /the result cannot be cloned/);
  await fails('export default () => process.exit(3)', /ended with exit code 3/);
  await fails(
    'export default () => new Promise(() => setTimeout(() => { throw new Error("late") }))',
    /died: late/,
  );
  assert.equal((await mapParallel<Seen>(path, sliceText))[0]?.text, text);
});

test('arguments are checked', async () => {
  const path = temporaryFile(text);
  const bad: [unknown, unknown, object, string][] = [
    [path, 'relative.js', {}, 'ERR_INVALID_ARG_TYPE'],
    [path, 5, {}, 'ERR_INVALID_ARG_TYPE'],
    [null, sliceText, {}, 'ERR_INVALID_ARG_TYPE'],
    [path, sliceText, { workers: 0 }, 'ERR_OUT_OF_RANGE'],
    [path, sliceText, { workers: 'a' }, 'ERR_INVALID_ARG_TYPE'],
    [path, sliceText, { boundary: '' }, 'ERR_OUT_OF_RANGE'],
    [path, sliceText, { sliceLength: 2 ** 31 }, 'ERR_OUT_OF_RANGE'],
    [path, sliceText, { argument: () => {} }, 'ERR_INVALID_ARG_TYPE'],
    [`${path}.none`, sliceText, {}, 'ENOENT'],
  ];
  for (const [file, from, options, code] of bad) {
    await assert.rejects(mapParallel(file as never, from as never, options), { code });
  }
});

test('an abort ends workers that would never end', async () => {
  const path = temporaryFile(text);
  const stop = new AbortController();
  const reason = new Error('enough');
  const spin = module('export default (slice, { index }) => { while (index > 0); }');
  const call = mapParallel(path, spin, {
    workers: 2,
    sliceLength: 9000,
    signal: stop.signal,
    onProgress: () => stop.abort(reason),
  });
  await assert.rejects(call, (error) => error === reason);
  await assert.rejects(
    mapParallel(path, spin, { signal: AbortSignal.abort(reason) }),
    (e) => e === reason,
  );
});

test('workers that wait do not keep the process alive', async () => {
  const source = `
    import { mapParallel } from 'memmap/scan';
    const url = new URL('${module('export default (slice) => slice.length')}');
    console.log((await mapParallel(process.argv.at(-1), url, { workers: 2 })).join());
  `;
  const path = temporaryFile(text);
  const ending = await runModule(source, { args: [path] });
  assert.equal(ending.stderr, '');
  assert.deepEqual([ending.code, ending.stdout.trim()], [0, String(readFileSync(path).length)]);
});

test('what a module posts to its parent is no answer', async () => {
  const chatty = module(`import { parentPort } from 'node:worker_threads';
    export default (slice, { index }) => {
      parentPort.postMessage({ kind: 'result', index: 0, result: 'forged' });
      return index;
    };`);
  for (let call = 0; call < 3; call++) {
    const answers = await mapParallel(temporaryFile(text), chatty, { sliceLength: 50_000 });
    assert.deepEqual(
      answers,
      answers.map((_, index) => index),
    );
  }
});

test('slices are not more than can be kept', async () => {
  const path = temporaryFile('');
  truncateSync(path, 2 ** 21 + 1);
  await assert.rejects(mapParallel(path, sliceText, { sliceLength: 2 }), {
    code: 'ERR_OUT_OF_RANGE',
    message: /options\.sliceLength.* >= 3 for 2097153 bytes/,
  });
});

test('many calls at once share the workers there may be, and few are left waiting', async () => {
  const path = temporaryFile(text);
  const calls = Array.from({ length: 40 }, () =>
    mapParallel<Seen>(path, sliceText, { workers: 8, sliceLength: 20_000 }),
  );
  for (const slices of await Promise.all(calls)) {
    assert.equal(slices.map((slice) => slice.text).join(''), text);
  }
});

test('what a call has left behind does not fail the next one, and is told', async () => {
  const { code, stdout, stderr } = await runModule(`
    import { mapParallel } from 'memmap/scan';
    const module = (text) => new URL('data:text/javascript;base64,' + btoa(text));
    const path = ${JSON.stringify(temporaryFile(text))};
    const late = module("export default () => { setTimeout(() => { throw new Error('late') }, 20); return 1; }");
    const leaves = module('export default () => { setTimeout(() => process.exit(3), 20); return 1; }');
    const good = module('export default (slice) => slice.length');
    for (const before of [late, leaves]) {
      for (const pause of [0, 150]) {
        await mapParallel(path, before, { workers: 1 });
        const end = Date.now() + 100;
        while (Date.now() < end); // the worker dies, and nobody here can see it
        if (pause) await new Promise((resolve) => setTimeout(resolve, pause));
        console.log(await mapParallel(path, good, { workers: 1 }));
      }
    }`);
  assert.equal(code, 0, stderr);
  assert.equal(stdout.match(/\[ \d+ \]/g)?.length, 4, stdout);
  assert.match(stderr, /A worker of mapParallel\(\) died later: late/);
});
