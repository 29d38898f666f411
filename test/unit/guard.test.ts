import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anonymous, pageSize } from 'memmap';
import { runModule } from '../support/child.ts';

test('gives what the function returns', () => {
  using mapping = anonymous(pageSize);
  assert.equal(
    mapping.guard((given) => {
      assert.equal(given, mapping);
      return 42;
    }),
    42,
  );
  assert.equal(
    mapping.guard(() => mapping.guard(() => 'inner')),
    'inner',
  );
  mapping.check();
});

test('an error of the function passes as it is', () => {
  using mapping = anonymous(pageSize);
  for (const reason of [new Error('mine'), 'text', undefined, null]) {
    const run = () =>
      mapping.guard(() => {
        throw reason;
      });
    assert.throws(run, (error) => error === reason);
  }
});

test('a thenable is refused, what only looks like one is not', () => {
  using mapping = anonymous(pageSize);
  const refused = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE', message: /"fn"/ };
  assert.throws(() => mapping.guard(async () => 1), refused);
  // biome-ignore lint/suspicious/noThenProperty: that is what is tested
  const thenable = { then() {} };
  assert.throws(() => mapping.guard(() => thenable), refused);
  assert.throws(() => mapping.guard(() => Object.assign(() => 0, thenable)), refused);
  // biome-ignore lint/suspicious/noThenProperty: that is what is tested
  const data = { then: 'later' };
  assert.equal(
    mapping.guard(() => data),
    data,
  );
});

test('the function may close the mapping', () => {
  const mapping = anonymous(pageSize);
  mapping.guard(() => mapping.close());
  assert.ok(mapping.closed);
});

/** In a child: `faulty` stores where it may not; what is logged comes back. */
async function guarded(source: string): Promise<string> {
  const { code, signal, stdout, stderr } = await runModule(`
    import { anonymous, pageSize } from 'memmap';
    const mapping = anonymous(2 * pageSize);
    mapping.protect('read');
    const { bytes } = mapping;
    const faulty = () => { bytes[1] = 1; return 'stored'; };
    const caught = (work) => {
      try { return work(); } catch (error) { return error; }
    };
    ${source}`);
  assert.deepEqual([code, signal, stderr], [0, null, '']);
  return stdout.trim();
}

test('a fault is thrown when the function has ended, once', async () => {
  const said = await guarded(`
    const { code, offset, count } = caught(() => mapping.guard(faulty));
    console.log(code, offset, count > 0, caught(() => mapping.check()));`);
  assert.equal(said, 'ERR_MEMMAP_READ_ONLY 1 true undefined');
});

test('what waited before is thrown first, and the function does not run', async () => {
  const said = await guarded(`
    faulty();
    let ran = false;
    const { code } = caught(() => mapping.guard(() => { ran = true; }));
    console.log(code, ran);`);
  assert.equal(said, 'ERR_MEMMAP_READ_ONLY false');
});

test("the function's own error wins, and the fault is its cause", async () => {
  const said = await guarded(`
    const mine = new Error('mine');
    const error = caught(() => mapping.guard(() => { faulty(); throw mine; }));
    console.log(error === mine, error.cause.code);`);
  assert.equal(said, 'true ERR_MEMMAP_READ_ONLY');
});

test('where it cannot be the cause, the error wins all the same, and the event tells', async () => {
  const said = await guarded(`
    mapping.on('fault', ({ code }) => console.log('event', code));
    for (const mine of [new Error('a', { cause: 'b' }), Object.freeze(new Error('a')), 'text']) {
      const error = caught(() => mapping.guard(() => { faulty(); throw mine; }));
      console.log(error === mine, error.cause);
    }`);
  const event = 'event ERR_MEMMAP_READ_ONLY';
  const expected = ['true b', 'true undefined', 'true undefined', event, event, event];
  assert.deepEqual(said.split('\n'), expected);
});

test('the inner guard has what happened in it, the outer the rest', async () => {
  const said = await guarded(`
    const outer = caught(() => mapping.guard(() => {
      console.log(caught(() => mapping.guard(faulty)).code);
    }));
    console.log(outer);
    console.log(caught(() => mapping.guard(() => { mapping.guard(() => 1); faulty(); })).code);`);
  assert.equal(said, 'ERR_MEMMAP_READ_ONLY\nundefined\nERR_MEMMAP_READ_ONLY');
});
