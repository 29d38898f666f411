/**
 * What a terminal changes: colours, width, progress; and what Ctrl-C does.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runProcess } from '../support/child.ts';
import { commandLine, interrupted, memmap, onTerminal } from '../support/command.ts';
import { lacksCommand, needs } from '../support/machine.ts';
import { temporaryFile, temporaryPath } from '../support/temporary.ts';

const terminal = needs(lacksCommand('script'), lacksCommand('stty'));
const escapeCode = '\u001b';
/** What is seen: without colours and status lines. */
const seen = (text: string) =>
  text
    .replaceAll('\r\n', '\n')
    .split('\n')
    .map((line) =>
      line
        .replaceAll(new RegExp(`${escapeCode}\\[[0-9;]*[mK]`, 'g'), '')
        .split('\r')
        .at(-1),
    );

test('no colours on a pipe, unless they are asked for', async () => {
  const path = temporaryFile(10_000);
  assert.ok(!(await memmap(['cache', path])).stdout.includes(escapeCode));
  const forced = await memmap(['cache', path, '--color=always']);
  assert.ok(forced.stdout.includes(`${escapeCode}[1m`));
});

test('colours on a terminal, unless somebody does not want them', terminal, async () => {
  const path = temporaryFile(10_000);
  assert.ok((await onTerminal(['cache', path])).stdout.includes(`${escapeCode}[1m`));
  const unwanted = [
    await onTerminal(['cache', path], { env: { NO_COLOR: '1' } }),
    await onTerminal(['cache', path], { env: { TERM: 'dumb' } }),
    await onTerminal(['cache', path, '--color=never']),
  ];
  for (const { stdout } of unwanted) assert.ok(!stdout.includes(`${escapeCode}[1m`));
});

test('--json has no colours, wherever it goes', terminal, async () => {
  const { stdout } = await onTerminal(['cache', temporaryFile(1), '--json']);
  assert.ok(!stdout.includes(escapeCode));
  JSON.parse(stdout);
});

for (const columns of [60, 80, 132]) {
  test(`tables of files fit into ${columns} columns`, terminal, async () => {
    const path = temporaryFile(100_000);
    const long = temporaryPath('a-name-that-is-longer-than-any-terminal-'.repeat(5));
    const { stdout, code } = await onTerminal(['cache', path, long, '--map'], { columns });
    assert.equal(code, 2);
    const table = seen(stdout).filter((line) => /[█▇▆▅▄▃▂▁·]/.test(line ?? ''));
    assert.ok(table.length >= 2);
    for (const line of table) assert.ok((line ?? '').length <= columns, line);
  });
}

test('the table of a process fits into 100 columns', terminal, async () => {
  const { stdout } = await onTerminal(['maps', String(process.pid)], { columns: 100 });
  for (const line of seen(stdout)) assert.ok((line ?? '').length <= 100, line);
});

test('--ascii draws with ASCII only', async () => {
  const path = temporaryFile(1_000_000);
  const { stdout } = await memmap(['cache', '--ascii', '--map', path]);
  assert.match(stdout, /\[[.1-7#]+\]/);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what ASCII is
  assert.match(stdout, /^[\u0000-\u007f]*$/);
});

test('Ctrl-C ends a watch with its summary and 130', async () => {
  const path = temporaryFile(10_000);
  const cache = await interrupted(['cache', '--watch=0.05', path], /after 0\.[1-9]/);
  assert.deepEqual([cache.code, cache.signal], [130, null]);
  assert.match(cache.stdout, /looks: .* in memory at first/);
  const watch = await interrupted(['watch', '--interval', '0.05', String(process.pid)], /0\.\ds/);
  assert.deepEqual([watch.code, watch.signal], [130, null]);
  assert.match(watch.stdout, /minor and .* major faults in/);
});

test(
  'a terminal that is closed ends a lock with 129, and no pidfile is left',
  terminal,
  async () => {
    const [pidfile, codeFile] = [temporaryPath('pid'), temporaryPath('code')];
    const words = commandLine(['lock', '--pidfile', pidfile, temporaryFile('x')]);
    const command = `'${words.join("' '")}'; echo "exit $?" >'${codeFile}'`;
    // The shell of the terminal ends with it, and then the kernel tells its group.
    const line = `(trap '' HUP; ${command}) & wait`;
    const stdio = ['ignore', 'pipe', 'ignore'] as const;
    const script = spawn('script', ['-qec', line, '/dev/null'], { stdio: [...stdio] });
    let stdout = '';
    script.stdout.on('data', (data) => {
      stdout += data;
      if (stdout.includes('locked by process')) script.kill('SIGKILL');
    });
    const isWritten = () => existsSync(codeFile) && readFileSync(codeFile, 'utf8').endsWith('\n');
    for (let round = 0; round < 600 && !isWritten(); round++) await sleep(100);
    script.kill('SIGKILL');
    assert.equal(readFileSync(codeFile, 'utf8'), 'exit 129\n');
    assert.equal(existsSync(pidfile), false);
  },
);

for (const [signal, exitCode] of [
  ['INT', 130],
  ['TERM', 143],
] as const) {
  test(
    `SIG${signal} ends warming with what was reached, and ${exitCode}`,
    needs(lacksCommand('bash')),
    async () => {
      const [path, next] = [temporaryFile(64 * 2 ** 20), temporaryFile(1)];
      const [file, ...args] = commandLine(['warm', '--all', '--rate', '8M', path, next]);
      // At 8 MiB a second it is far from its end by then, however slow its start is.
      const line = `"${file}" ${args.map((word) => `'${word}'`).join(' ')} & pid=$!
      sleep 1.5; kill -${signal} $pid; wait $pid; echo "exit $?"`;
      const { stdout } = await runProcess(['bash', '-c', `set -m; ${line}`]);
      assert.match(stdout, /asked for in/);
      assert.ok(stdout.includes(`exit ${exitCode}\n`), stdout);
      assert.ok(!stdout.includes(next), stdout);
    },
  );
}
