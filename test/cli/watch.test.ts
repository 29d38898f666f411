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
  traced: { kinds: Record<string, number> }[] | null;
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

/** Ends soon, and says how many faults it had until then. */
const brief = 'Buffer.alloc(2e7, 1); console.log(process.resourceUsage().minorPageFault)';
const saidIn = (stderr: string) => Number(/^(\d+)$/m.exec(stderr)?.[1]);

test('all faults of a command count, though it ends before the first line', async () => {
  const args = ['watch', '--interval', '60', '--json', '--'];
  for (const command of [
    [node, '-e', brief],
    ['sh', '-c', '"$@"; true', 'sh', node, '-e', brief],
  ]) {
    const { stdout, stderr } = await memmap([...args, ...command]);
    const { ticks, minor } = checkDocument<Summary>(stdout);
    assert.equal(ticks.length, 0);
    assert.ok(saidIn(stderr) > 0 && minor >= saidIn(stderr), `${minor}: ${stderr}`);
  }
});

test('what grew is unknown, not nothing, where there was no time to look', async () => {
  const { stdout, stderr } = await memmap(['watch', '--interval', '60', '--json', '--', 'true']);
  assert.equal(checkDocument<Summary>(stdout).growth, null);
  assert.match(stderr, /what grew is unknown/);
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

/** Runs a shell script where page faults may be traced; null: this kernel does not trace them. */
function withTracing(script: string, args: readonly string[]): { stdout: string; stderr: string } {
  const mount = 'mount -t tracefs none /sys/kernel/tracing || exit; ';
  const words = ['-m', 'sh', '-c', mount + script, 'sh', ...args];
  return spawnSync('unshare', words, { encoding: 'utf8', timeout: 60_000 });
}

const untraced = 'this kernel does not trace page faults';
const tracing = needs(lacksRoot, lacksKernel, lacksCommand('unshare'));

test('--trace tells faults by mapping and kind', tracing, async (t) => {
  const args = ['watch', '--trace', '--interval', '0.1', '--json', '--', node, '-e', growing];
  const { stdout } = withTracing('exec "$@"', commandLine(args));
  if (!stdout.includes('traced')) return t.skip(untraced);
  const { traced } = checkDocument<Summary>(stdout);
  assert.ok(traced?.some(({ kinds }) => (kinds.write ?? 0) > 0));
});

test('--trace begins before the command does', tracing, async (t) => {
  const args = ['watch', '--trace', '--interval', '60', '--json', '--', node, '-e', brief];
  const { stdout, stderr } = withTracing('exec "$@"', commandLine(args));
  if (!stdout.includes('traced')) return t.skip(untraced);
  const { traced, minor } = checkDocument<Summary>(stdout);
  const kinds = (traced ?? []).flatMap((mapping) => Object.values(mapping.kinds));
  const sum = kinds.reduce((all, times) => all + times, 0);
  // Less those of the shell that was held, and became the command.
  assert.ok(minor > saidIn(stderr) - 1000, `${minor}: ${stderr}`);
  // Those of the kernel itself, when it copies for the process, are not traced.
  assert.ok(sum > minor / 2, `${sum} of ${minor}`);
});

test('--trace has the exit codes of the command, or of its absence', tracing, async (t) => {
  const script = `"$@" sh -c 'exit 7'; echo $?; "$@" /nowhere/to/be/found; echo $?; "$@" /; echo $?`;
  const { stdout } = withTracing(script, commandLine(['watch', '-q', '--trace', '--plain', '--']));
  if (/^125$/m.test(stdout)) return t.skip(untraced);
  assert.deepEqual(stdout.match(/^\d+$/gm), ['7', '127', '126']);
});

test('a closed terminal leaves no tracing behind', tracing, async (t) => {
  const script = `"$@" & pid=$!
    for i in 1 2 3 4 5 6 7 8 9; do sleep 0.3; ls /sys/kernel/tracing/instances | grep . && break; done
    kill -HUP $pid; wait $pid; echo "exit $?"; ls /sys/kernel/tracing/instances`;
  const words = commandLine(['watch', '-q', '--trace', '--json', '--', 'sleep', '60']);
  const { stdout } = withTracing(script, words);
  if (!/^memmap-\d+\n/.test(stdout)) return t.skip(untraced);
  assert.match(stdout, /"traced": \[.*exit 129\n$/s);
});
