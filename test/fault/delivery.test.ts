/**
 * Each fault is told exactly once: by guard, check, a method that makes a system call, the event,
 * or at the end of the process.
 */
import assert from 'node:assert/strict';
import { truncateSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { anonymous, FaultError, type Mapping, map, pageSize } from 'memmap';
import { collect } from '../runtime/runtime.ts';
import { faultOf, pendingFault, turns, until } from '../support/fault.ts';
import { hazard } from '../support/hazard.ts';
import { temporaryFile } from '../support/temporary.ts';

const page = pageSize;
const readOnly = 'ERR_MEMMAP_READ_ONLY';
const truncated = 'ERR_MEMMAP_TRUNCATED';

/** A mapping for reading, and a store into it. */
function readOnlyMapping(): Mapping {
  return map(temporaryFile(8 * page));
}
function fault(mapping: Mapping, at = 0): void {
  mapping.bytes[at] = 1;
}
/** The faults that reach the event. */
function listen(mapping: Mapping): FaultError[] {
  const heard: FaultError[] = [];
  mapping.on('fault', (error) => heard.push(error));
  return heard;
}

function toldNothing(heard: FaultError[]): void {
  assert.ok(heard.length === 0, String(heard[0]));
}

hazard('guard: to the guard it happened in, and to nobody else', async () => {
  const mapping = readOnlyMapping();
  const heard = listen(mapping);
  const error = faultOf(readOnly, () => mapping.guard(() => fault(mapping, 5)));
  assert.equal(error.offset, 5);
  assert.equal(error.count, 1);
  mapping.check();
  await turns();
  toldNothing(heard);
  assert.equal(
    mapping.guard((same) => same.byteLength),
    mapping.byteLength,
  );
});

hazard('guard in guard: the inner one has it', () => {
  const mapping = readOnlyMapping();
  let inner: unknown;
  mapping.guard(() => {
    try {
      mapping.guard(() => fault(mapping));
    } catch (error) {
      inner = error;
    }
  });
  assert.ok(inner instanceof FaultError);
  mapping.check();
});

hazard('pending before guard: thrown before fn runs', () => {
  const mapping = readOnlyMapping();
  fault(mapping, 3);
  let ran = 0;
  assert.equal(faultOf(readOnly, () => mapping.guard(() => ran++)).offset, 3);
  assert.equal(ran, 0);
  mapping.guard(() => ran++);
  assert.equal(ran, 1);
});

hazard("fn's own error wins, with the fault as its cause", () => {
  const mapping = readOnlyMapping();
  const own = new Error('own');
  const run = () =>
    mapping.guard(() => {
      fault(mapping);
      throw own;
    });
  assert.throws(run, (error) => error === own);
  assert.ok(own.cause instanceof FaultError);
  mapping.check();
});

const otherErrors: Record<string, () => unknown> = {
  'a number': () => 42,
  undefined: () => undefined,
  'a frozen error': () => Object.freeze(new Error('frozen')),
  'an error with a cause of its own': () => new Error('own', { cause: 'mine' }),
};
for (const [what, make] of Object.entries(otherErrors)) {
  hazard(`fn throws ${what}: it wins, and the fault is told all the same`, async () => {
    const mapping = readOnlyMapping();
    const heard = listen(mapping);
    const thrown = make();
    let caught: unknown = 'nothing';
    try {
      mapping.guard(() => {
        fault(mapping, 9);
        throw thrown;
      });
    } catch (error) {
      caught = error;
    }
    assert.equal(caught, thrown);
    try {
      mapping.check();
    } catch (error) {
      heard.push(error as FaultError);
    }
    await turns();
    assert.deepEqual(
      heard.map(({ offset }) => offset),
      [9],
    );
  });
}

hazard('guard refuses a promise, and its fault is the cause', () => {
  const mapping = readOnlyMapping();
  const run = () =>
    mapping.guard(async () => {
      fault(mapping);
    });
  assert.throws(run, (error: TypeError & { code?: string }) => {
    assert.equal(error.code, 'ERR_INVALID_ARG_TYPE');
    assert.ok(error.cause instanceof FaultError);
    return true;
  });
  mapping.check();
});

hazard('withAccess is a guard', () => {
  const mapping = anonymous(8 * page);
  mapping.protect('none');
  mapping.withAccess('read', () => assert.equal(mapping.bytes[0], 0));
  const run = () => mapping.withAccess('read', () => fault(mapping));
  faultOf(readOnly, run);
  mapping.check();
});

hazard('close in a guard: the fault goes to the event, fn decides the rest', async () => {
  const mapping = readOnlyMapping();
  const heard = listen(mapping);
  let inGuard = 0;
  try {
    mapping.guard(() => {
      fault(mapping, 2);
      mapping.close();
    });
  } catch (error) {
    assert.ok(error instanceof FaultError);
    inGuard = 1;
  }
  await turns();
  assert.equal(heard.length + inGuard, 1);
});

hazard('check: once', async () => {
  const mapping = readOnlyMapping();
  const heard = listen(mapping);
  fault(mapping);
  pendingFault(mapping, readOnly);
  mapping.check();
  await turns();
  toldNothing(heard);
});

const calls: Record<string, (mapping: Mapping) => unknown> = {
  read: (mapping) => mapping.read(Buffer.alloc(1)),
  write: (mapping) => mapping.write(Buffer.alloc(1), page),
  flush: (mapping) => mapping.flush(),
  flushSync: (mapping) => mapping.flushSync(),
  advise: (mapping) => mapping.advise('normal'),
  discard: (mapping) => mapping.discard('dontneed'),
  prefetch: (mapping) => mapping.prefetch(),
  evict: (mapping) => mapping.evict(),
  residency: (mapping) => mapping.residency(),
  lock: (mapping) => mapping.lock({ offset: 0, length: page }),
  unlock: (mapping) => mapping.unlock(),
  protect: (mapping) => mapping.protect('write'),
  withAccess: (mapping) => mapping.withAccess('write', () => {}),
  resize: (mapping) => mapping.resize(4 * page),
  guard: (mapping) => mapping.guard(() => {}),
  check: (mapping) => mapping.check(),
};
for (const [name, call] of Object.entries(calls)) {
  hazard(`${name}() tells what is pending, does nothing, and works the next time`, async () => {
    const mapping = map(temporaryFile(8 * page), { access: 'write' });
    mapping.protect('read', { offset: 0, length: page });
    const heard = listen(mapping);
    fault(mapping, 7);
    const told = await Promise.resolve()
      .then(() => call(mapping))
      .then(
        () => assert.fail(`${name} told nothing`),
        (error) => error,
      );
    // Promise methods never throw synchronously; this one was asked in a microtask, before the event.
    assert.ok(told instanceof FaultError, String(told));
    assert.equal(told.offset, 7);
    assert.equal(mapping.byteLength, 8 * page);
    await call(mapping);
    await turns();
    toldNothing(heard);
  });
}

hazard('facts, buffers, views, listeners, close and disposal never throw it', async () => {
  const mapping = readOnlyMapping();
  const heard = listen(mapping);
  fault(mapping, 6);
  const { byteLength, offset, access, address, path, fd, closed, shared, capacity } = mapping;
  assert.ok([byteLength, offset, access, address, path, fd, closed, shared, capacity].length);
  assert.ok([mapping.bytes, mapping.buffer, mapping.window(1, 1), mapping.dataView()].length);
  assert.ok([mapping.view(Uint8Array), mapping.pageSize, String(mapping)].length);
  mapping.on('fault', () => {}).off('fault', () => {});
  mapping.close();
  mapping[Symbol.dispose]();
  toldNothing(heard);
  await until(() => heard.length > 0);
  await turns();
  assert.deepEqual(
    heard.map((error) => [error.code, error.offset]),
    [[readOnly, 6]],
  );
});

hazard("the 'fault' event comes on a later turn, once", async () => {
  const mapping = readOnlyMapping();
  const heard = listen(mapping);
  fault(mapping, 4);
  toldNothing(heard);
  await until(() => heard.length > 0);
  mapping.check();
  await turns();
  assert.equal(heard.length, 1);
  assert.equal(heard[0]?.offset, 4);
  fault(mapping, 5);
  await until(() => heard.length > 1);
  assert.equal(heard[1]?.offset, 5);
});

hazard('faults of several mappings come to each', async () => {
  const mappings = Array.from({ length: 10 }, readOnlyMapping);
  const heard = mappings.map(listen);
  mappings.forEach((mapping, index) => {
    fault(mapping, index);
  });
  await until(() => heard.every((errors) => errors.length > 0));
  assert.deepEqual(
    heard.map((errors) => errors.map(({ offset }) => offset)),
    mappings.map((_, index) => [index]),
  );
});

/** As every runtime prints it; only Node adds the code. */
const uncaught = /FaultError: Cannot write byte 0 of .*read-only/;

hazard(
  'no listener: an uncaught exception, exit code 1, and its stack on stderr',
  async () => {
    fault(readOnlyMapping());
    await turns(10_000);
  },
  {
    code: 1,
    check: ({ stderr }) => {
      assert.match(stderr, uncaught);
      assert.match(stderr, /\n {4,}at /);
      assert.doesNotMatch(stderr, /undelivered/);
    },
  },
);

hazard("no listener: 'uncaughtException' can take it", async () => {
  const caught: unknown[] = [];
  process.on('uncaughtException', (error) => caught.push(error));
  fault(readOnlyMapping());
  fault(readOnlyMapping());
  await until(() => caught.length > 1);
  await turns();
  assert.equal(caught.length, 2);
  for (const error of caught) assert.ok(error instanceof FaultError);
});

hazard(
  'a listener that throws is an uncaught exception',
  async () => {
    const mapping = readOnlyMapping();
    mapping.on('fault', () => {
      throw new Error('of the listener');
    });
    fault(mapping);
    await turns(10_000);
  },
  { code: 1, check: ({ stderr }) => assert.match(stderr, /of the listener/) },
);

const undelivered = /memmap: undelivered fault: ERR_MEMMAP_READ_ONLY: Cannot write byte 0/;
for (const [how, end, code] of [
  ['process.exit()', () => process.exit(), 1],
  ['process.exit(0)', () => process.exit(0), 1],
  ['process.exit(3)', () => process.exit(3), 3],
  ['exitCode = 0', () => {
      process.exitCode = 0;
      process.exit();
    }, 1], // biome-ignore format: a row
  ['close(), then process.exit()', (mapping: Mapping) => {
      mapping.close();
      process.exit();
    }, 1], // biome-ignore format: a row
] as const) {
  hazard(
    `${how} with a fault that nobody has seen: printed, exit code ${code}`,
    () => {
      const mapping = readOnlyMapping();
      fault(mapping);
      end(mapping);
    },
    {
      code,
      finishes: false,
      check: ({ stderr }) => {
        assert.match(stderr, undelivered);
        assert.equal(stderr.match(/undelivered/g)?.length, 1);
      },
    },
  );
}

hazard(
  'the last statement of the program: it ends non-zero and says why',
  () => fault(readOnlyMapping()),
  {
    code: 1,
    finishes: true,
    check: ({ stderr }) => assert.match(stderr, /Cannot write byte 0 of .*read-only/),
  },
);

hazard(
  'a fault in an exit listener is told as well',
  () => {
    const mapping = readOnlyMapping();
    process.on('exit', () => fault(mapping));
  },
  { code: 1, finishes: true, check: ({ stderr }) => assert.match(stderr, undelivered) },
);

hazard(
  'a mapping that is forgotten and collected still tells',
  async () => {
    (() => fault(readOnlyMapping()))();
    collect();
    collect();
    await turns(200);
  },
  { code: 1, check: ({ stderr }) => assert.match(stderr, uncaught) },
);

hazard(
  'a buffer that outlives the forgotten mapping still tells',
  async () => {
    const { bytes } = readOnlyMapping();
    for (let i = 0; i < 5; i++) {
      collect();
      await turns(2);
    }
    bytes[0] = 1;
    await turns(200);
  },
  { code: 1, check: ({ stderr }) => assert.match(stderr, uncaught) },
);

hazard(
  'a store after close is told, also when its buffer is collected before anybody looks',
  async () => {
    (() => {
      const mapping = anonymous(page, { shared: true });
      const view = mapping.view(Uint8Array);
      mapping.close();
      view[0] = 1;
    })();
    new Array(1000).fill({}); // over what the stack still holds
    collect();
    collect();
    await turns(200);
  },
  {
    code: 1,
    check: ({ stderr }) =>
      assert.match(stderr, /Cannot write byte 0 of memory: the mapping was closed/),
  },
);

hazard('and by its mapping, where that is still there', async () => {
  const mapping = anonymous(page, { shared: true });
  const faults: string[] = [];
  mapping.on('fault', ({ code }) => faults.push(code));
  (() => {
    const view = mapping.view(Uint8Array);
    mapping.close();
    view[0] = 1;
  })();
  collect();
  collect();
  await turns(200);
  assert.deepEqual(faults, ['ERR_MEMMAP_CLOSED']);
});

hazard('several kinds: the first, with the others in others', () => {
  const path = temporaryFile(8 * page);
  const mapping = map(path, { access: 'write' });
  mapping.protect('read', { offset: 0, length: page });
  mapping.protect('none', { offset: page, length: page });
  truncateSync(path, 4 * page);
  void mapping.bytes[page + 1];
  assert.equal(mapping.bytes.readUInt8(7 * page + 2), 0);
  fault(mapping, 3);
  fault(mapping, 4 * page);
  const first = pendingFault(mapping, 'ERR_MEMMAP_NO_ACCESS');
  assert.equal(first.offset, page + 1);
  assert.deepEqual(
    first.others.map(({ code, offset, count }) => [code, offset, count]),
    [
      [truncated, 7 * page + 2, 1],
      [readOnly, 3, 1],
    ],
  );
  mapping.check();
});

hazard('count counts faults, not accesses', () => {
  const mapping = readOnlyMapping();
  for (let i = 0; i < page; i++) fault(mapping, i);
  assert.equal(pendingFault(mapping, readOnly).count, 1);
  for (let i = 0; i < 3; i++) {
    fault(mapping, 5 * page);
    assert.equal(pendingFault(mapping, readOnly).count, 1);
  }
  mapping.bytes.fill(0);
  const { count } = pendingFault(mapping, readOnly);
  assert.ok(count > 1 && count <= 8, `${count} faults in eight pages`);
});

hazard('a worker tells its own: guard, event, and error without a listener', async () => {
  const path = temporaryFile(8 * page);
  const run = (code: string) => {
    const source = `
      const { parentPort, workerData } = require('node:worker_threads');
      const { map } = require('memmap');
      const mapping = map(workerData);
      const keep = setInterval(() => mapping, 1000); // a forgotten mapping has no listeners
      const end = (error) => { clearInterval(keep); parentPort.postMessage(error.code); };
      ${code}`;
    const worker = new Worker(source, { eval: true, workerData: path });
    return new Promise<string>((resolve, reject) => {
      let message = '';
      worker.on('message', (text) => {
        message = text;
      });
      worker.on('error', (error) => {
        message = error.message; // Deno brings no code along
      });
      worker.on('exit', (code) => resolve(`${message}, exit ${code}`));
      worker.on('messageerror', reject);
    });
  };
  const fault = 'mapping.bytes[0] = 1;';
  const guarded = `try { mapping.guard(() => { ${fault} }); } catch (error) { end(error); }`;
  assert.equal(await run(guarded), `${readOnly}, exit 0`);
  const event = `mapping.on('fault', end); ${fault}`;
  assert.equal(await run(event), `${readOnly}, exit 0`);
  assert.match(await run(fault), /Cannot write byte 0 of .*, exit 1$/);
  assert.equal(await run(`${fault} process.exit()`), ', exit 1');
});

hazard('a worker stores into what this thread shares: told here, and only once', async () => {
  const mapping = map(temporaryFile(8 * page), { shared: true });
  const heard = listen(mapping);
  const worker = new Worker(
    `const { workerData } = require('node:worker_threads');
     new Uint8Array(workerData)[11] = 1;`,
    { eval: true, workerData: mapping.buffer },
  );
  await new Promise((resolve) => worker.on('exit', resolve));
  await until(() => heard.length > 0);
  assert.equal(heard[0]?.offset, 11);
  assert.notEqual(heard[0]?.thread, process.pid);
  await turns();
  assert.equal(heard.length, 1);
});

hazard("faults of other threads in a guard's span count", () => {
  const mapping = map(temporaryFile(8 * page), { shared: true });
  const flag = new Int32Array(new SharedArrayBuffer(8));
  new Worker(
    `const { workerData } = require('node:worker_threads');
     Atomics.wait(workerData.flag, 0, 0);
     new Uint8Array(workerData.buffer)[11] = 1;
     Atomics.store(workerData.flag, 1, 1);
     Atomics.notify(workerData.flag, 1);`,
    { eval: true, workerData: { buffer: mapping.buffer, flag } },
  );
  const error = faultOf(readOnly, () =>
    mapping.guard(() => {
      Atomics.store(flag, 0, 1);
      Atomics.notify(flag, 0);
      Atomics.wait(flag, 1, 0);
    }),
  );
  assert.equal(error.offset, 11);
});
