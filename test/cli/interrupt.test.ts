import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { pause } from '#dist/cli/interrupt.js';
import { runModule } from '../support/child.ts';
import { interrupted } from '../support/command.ts';
import { temporaryFile, temporaryPath } from '../support/temporary.ts';

test('a pause longer than a timer of Node.js can be is one all the same', async () => {
  for (const seconds of [3e6, Number.POSITIVE_INFINITY]) {
    const controller = new AbortController();
    let isOver = false;
    const long = pause(seconds, controller.signal).then(() => (isOver = true));
    await pause(0.05);
    assert.equal(isOver, false);
    controller.abort();
    await long;
  }
});

const requests = [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const;
for (const [name, code] of requests) {
  test(`${name}: work ends, and the code is ${code} whatever it has found`, async () => {
    const ending = await runModule(
      `import assert from 'node:assert/strict';
      const { interruptible, pause } = await import(process.argv[1]);
      process.exitCode = await interruptible(async (interruption) => {
        process.kill(process.pid, '${name}');
        await pause(Number.POSITIVE_INFINITY, interruption.signal);
        assert.equal(interruption.name, '${name}');
        return 1;
      });`,
      { args: [import.meta.resolve('#dist/cli/interrupt.js')] },
    );
    assert.deepEqual([ending.stderr, ending.code, ending.signal], ['', code, null]);
  });

  test(`${name} is passed on to a command, which is waited for`, async () => {
    const source = `setInterval(() => {}, 1000);
      process.on('${name}', () => {
        console.log('asked to end');
        setTimeout(() => process.exit(3), 50);
      });
      console.log('it runs');`;
    const command = ['--', process.execPath, '-e', source];
    for (const tool of [['watch'], ['lock', temporaryFile('x')]]) {
      const ending = await interrupted([...tool, ...command], /it runs/, name);
      assert.deepEqual([ending.code, ending.signal], [code, null]);
      assert.match(ending.stdout + ending.stderr, /asked to end/);
    }
  });

  test(`${name}: a command that was started to be looked at is ended`, async () => {
    const source = `setInterval(() => {}, 1000); console.log('it runs', process.pid)`;
    const args = ['maps', '--after', '60', '--', process.execPath, '-e', source];
    const { code: given, stderr } = await interrupted(args, /it runs \d+\n/, name);
    assert.equal(given, code);
    assert.throws(() => process.kill(Number(/runs (\d+)/.exec(stderr)?.[1]), 0), { code: 'ESRCH' });
  });

  test(`${name}: a pidfile goes`, async () => {
    const pidfile = temporaryPath('pid');
    const args = ['lock', '--pidfile', pidfile, temporaryFile('x')];
    const ending = await interrupted(args, /locked/, name);
    assert.equal(ending.code, code);
    assert.match(ending.stdout, /held 4 KiB/);
    assert.equal(existsSync(pidfile), false);
  });
}
