// What a runtime cannot do, for test-runtimes.mjs: the tests that show it. They run like all others
// and must fail, with an error that says so; one that passes has to be taken off this list, and so
// has one that is no longer there. docs/platforms.md has a line for each.

/**
 * @typedef {object} Lack
 * @property {string} what   What the runtime lacks.
 * @property {RegExp} error  What the failure of each of its tests must say.
 * @property {boolean} [isRace]   It shows only in some runs: a test may pass, too.
 * @property {Record<string, string[]>} tests   Names, or their beginnings with `*`, by file.
 */

/** @type {Record<'node' | 'bun' | 'deno', Lack[]>} */
export const unsupported = {
  node: [],
  bun: [
    {
      what: 'mapIntoWasm: it zeroes memory that grows, and keeps what is freed for other buffers',
      error: /ERR_MEMMAP_UNSUPPORTED|the engine of this runtime reuses the memory/,
      tests: {
        'test/unit/wasm.test.js': ['*'],
        'test/fault/borrowed-close.test.js': [
          'a file leaves a shared WebAssembly.Memory while a worker stores there',
        ],
      },
    },
    {
      what: 'randomFill stores into no buffer that was detached: an error of its own, and no fault',
      error: /detached or resized/,
      tests: {
        'test/fault/closed.test.js': [
          'crypto stores on the pool after close: a fault of the closed mapping, by the event',
          'and without a listener it is an uncaught exception',
        ],
      },
    },
    {
      what: 'a pool of one thread (UV_THREADPOOL_SIZE): work may be done before it is to be queued',
      error: /closed\.test\.js:\d+:\d+\)?\s+at runBody|detached or resized/,
      isRace: true,
      tests: {
        'test/fault/closed.test.js': [
          'a resize that moves, while the pool reads and stores the old place',
        ],
      },
    },
    {
      what: 'release of the buffers of a worker that is terminated while it is busy',
      error: /"mappings":\d+,"descriptors":(\d+)\} became \{"mappings":\d+,"descriptors":\1\}/,
      isRace: true,
      tests: {
        'test/process/worker-exit.test.js': ['a worker is terminated while it maps and closes'],
      },
    },
  ],
  deno: [
    {
      what: 'an end of the thread of a worker that is busy when it is terminated',
      error: /became|falsy|undelivered fault|FaultError|EMFILE/,
      isRace: true,
      tests: {
        'test/process/worker-exit.test.js': [
          'a worker is terminated in the middle of loads and stores',
          'a worker is terminated in the middle of faults',
          'a worker is terminated in the middle of a guard',
          'a worker is terminated with faults that nobody has seen',
          'a worker is terminated while it maps and closes',
          'a worker is terminated while it resizes',
          'a worker is terminated with a mapping of this thread',
          'a fault that a terminated worker could not tell is printed',
        ],
        'test/unit/shared/threads.test.js': [
          'a worker that is terminated while it writes leaves the memory to the others',
        ],
      },
    },
    {
      what: 'release of the eventfd and the epoll of a worker that has loaded an addon',
      error: /became/,
      isRace: true,
      tests: {
        'test/process/worker-exit.test.js': [
          'a worker is terminated in the middle of prefetch, flush and evict',
          'a worker is terminated in the middle of work that is cancelled',
          'a worker is terminated at once',
        ],
      },
    },
    {
      what: 'zlib and crypto over a buffer that is detached meanwhile: an exception nobody can catch',
      error: /invalid input range|detached ArrayBuffer/,
      tests: {
        'test/fault/closed.test.js': [
          'zlib reads on the pool after close: zeros',
          'crypto stores on the pool after close: a fault of the closed mapping, by the event',
          'and without a listener it is an uncaught exception',
          'a resize that moves, while the pool reads and stores the old place',
        ],
      },
    },
    {
      what: 'an end by a SIGSEGV or SIGBUS that is sent: the first is swallowed, without memmap as well',
      error: /came to its end/,
      tests: {
        'test/fault/not-ours.test.js': [
          'SIGSEGV that somebody sends ends the process',
          'SIGSEGV that a worker sends ends the process',
          'SIGBUS that somebody sends ends the process',
          'SIGBUS that a worker sends ends the process',
        ],
      },
    },
    {
      what: "a mapping's fd in node:fs, which knows only descriptors that it has opened itself",
      error: /EBADF|step/,
      tests: {
        'test/process/residency.test.js': [
          'residency of files',
          'residency of files > by descriptor and by URL; the descriptor stays open',
        ],
      },
    },
    {
      what: 'a life with RLIMIT_FSIZE: SIGXFSZ ends it when it writes its own caches',
      error: /null !== 1/,
      tests: {
        'test/cli/tour.test.js': [
          'a chapter that fails is told, the others still run, and the exit code is 1',
        ],
      },
    },
    {
      what: "the second process of the tour, which is started with Node's options",
      error: /stored by the child/,
      tests: {
        'test/cli/tour.test.js': [
          '--json is one document of everything that was measured',
          'a user without privileges sees every chapter too',
        ],
      },
    },
    {
      what: 'a start within 8 GiB of addresses (RLIMIT_AS)',
      error: /CagedHeap reservation/,
      tests: {
        'test/unit/limits.test.js': [
          'address space (RLIMIT_AS)',
          'a file is as it was when its mapping finds no address space',
          'nor is one made or grown for a SharedArrayBuffer that finds none',
        ],
      },
    },
  ],
};
