import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { pageSize } from 'memmap';
import { checkDocument, commandLine, memmap, memmapJson, writtenFile } from '../support/command.ts';
import { asNobody, lacksCommand, lacksKernel, lacksRoot, needs } from '../support/machine.ts';
import { temporaryFile, temporaryPath } from '../support/temporary.ts';

interface Summary {
  type: string;
  ticks: { seconds: number; cached: number | null; pages: number | null }[];
  minor: number;
  growth: { name: string; resident: number }[] | null;
}
const node = process.execPath;
/** Grows for a while, then ends with 7. */
const growing = `const kept = []; let rounds = 0;
  const timer = setInterval(() => {
    kept.push(Buffer.alloc(2e6, 1));
    if (++rounds === 20) process.exit(7);
  }, 20);`;

test('a command: a line each interval, what grew, and its own exit code', async () => {
  const args = ['watch', '--interval', '0.05', '--', node, '-e', growing];
  const { code, stdout } = await memmap(args);
  assert.equal(code, 7);
  assert.match(stdout, / t +min\/s +maj\/s +anon +file +shmem +swap\n/);
  assert.match(stdout, /minor and [\d,]+ major faults in/);
});

test('JSON: one document; a stream: a tick a line, and a summary', async () => {
  const args = ['watch', '--interval', '0.05', '--json', '--', node, '-e', growing];
  const one = await memmap(args);
  const document = checkDocument<Summary>(one.stdout);
  assert.deepEqual([one.code, document.type], [7, 'summary']);
  assert.ok(document.ticks.length >= 1 && document.minor > 0);
  const stream = await memmap(args.with(3, '--ndjson'));
  const lines = stream.stdout
    .trimEnd()
    .split('\n')
    .map((line) => checkDocument<Summary>(line));
  assert.equal(lines.at(-1)?.type, 'summary');
  assert.ok(lines.slice(0, -1).every(({ type }) => type === 'tick'));
});

test('the output of the command goes to stderr: stdout is data', async () => {
  const { code, stdout, stderr } = await memmap(['watch', '--json', '--', 'echo', 'said']);
  assert.equal(code, 0);
  checkDocument(stdout);
  assert.match(stderr, /said/);
});

test('a process, for some lines', async () => {
  const args = ['watch', '--interval', '0.02', '--count', '3', String(process.pid)];
  const { code, document } = await memmapJson<Summary>(args);
  assert.deepEqual([code, document.ticks.length], [0, 3]);
  assert.ok(document.growth !== null);
});

test('a process that ends ends the watch', async () => {
  const script = `sleep 0.5 & exec ${commandLine(['watch', '--interval', '0.1']).join(' ')} $!`;
  const { stdout, status } = spawnSync('sh', ['-c', script], { encoding: 'utf8', timeout: 60_000 });
  assert.equal(status, 0);
  assert.match(stdout, /major faults in/);
});

test('with the residency of a file, or pages at an address', needs(lacksKernel), async () => {
  const path = writtenFile(64 * pageSize);
  const args = ['watch', '--interval', '0.02', '--count', '1', '--map', path, String(process.pid)];
  const { stdout } = await memmap(args);
  assert.match(stdout, /\[█+\] 100%/);
  const { document } = await memmapJson<Summary>(args);
  assert.deepEqual([document.ticks[0]?.cached, document.ticks[0]?.pages], [64, 64]);
  const missing = await memmap(['watch', '--map', temporaryPath('missing'), String(process.pid)]);
  assert.equal(missing.code, 2);
});

test('126 and 127 as a shell has them; 125 when memmap fails', async () => {
  const codeOf = async (...args: string[]) => (await memmap(['watch', ...args])).code;
  assert.equal(await codeOf('--', temporaryPath('missing')), 127);
  assert.equal(await codeOf('--', temporaryFile('not a program')), 126);
  assert.equal(await codeOf('--map', temporaryPath('missing'), '--', 'sleep', '5'), 125);
});

test(
  'a process of others: faults and sizes are known, what grew is named as unknown',
  needs(lacksRoot),
  async () => {
    const args = ['watch', '--interval', '0.02', '--count', '1', String(process.pid)];
    const { code, document, stderr } = await memmapJson<Summary>(args, { prefix: asNobody });
    assert.deepEqual([code, document.growth], [0, null]);
    assert.match(stderr, /what grew is unknown/);
  },
);

test(
  'without tracefs, or without rights, --trace says what is missing',
  needs(lacksRoot),
  async () => {
    const denied = await memmap(['watch', '--trace', String(process.pid)], { prefix: asNobody });
    assert.equal(denied.code, 3);
    assert.match(denied.stderr, /Cannot trace faults: .*\nhint: .*mount -t tracefs/);
  },
);

test(
  '--trace tells faults by mapping and kind',
  needs(lacksRoot, lacksKernel, lacksCommand('unshare')),
  async (t) => {
    const inner = commandLine([
      'watch',
      '--trace',
      '--interval',
      '0.1',
      '--json',
      '--',
      node,
      '-e',
      growing,
    ]);
    const script = 'mount -t tracefs none /sys/kernel/tracing && exec "$@"';
    const { stdout, status } = spawnSync('unshare', ['-m', 'sh', '-c', script, 'sh', ...inner], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    if (status === 125 || stdout === '') return t.skip('this kernel does not trace page faults');
    const { traced } = checkDocument<{ traced: { name: string; kinds: Record<string, number> }[] }>(
      stdout,
    );
    assert.ok(traced.some(({ kinds }) => (kinds.write ?? 0) > 0));
  },
);
