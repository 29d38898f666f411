/**
 * What is alike in all commands: help, wrong command lines, completion, forms of output.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, truncateSync } from 'node:fs';
import { test } from 'node:test';
import { commands } from '#dist/cli/commands/index.js';
import { runProcess } from '../support/child.ts';
import { checkDocument, commandLine, memmap } from '../support/command.ts';
import { lacksCommand, needs } from '../support/machine.ts';
import { temporaryFile, temporaryPath } from '../support/temporary.ts';

const names = commands.map(({ name }) => name);

test('without a command: help with examples and every command', async () => {
  const { code, stdout, stderr } = await memmap([]);
  assert.deepEqual([code, stderr], [0, '']);
  for (const name of names) assert.match(stdout, new RegExp(`^  ${name} `, 'm'));
  assert.match(stdout, /^Examples:/m);
  assert.match(stdout, /Exit codes:/);
});

for (const name of names) {
  test(`${name} --help has a usage and examples, within 100 columns`, async () => {
    const { code, stdout, stderr } = await memmap([name, '--help']);
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /^Usage: /);
    if (name !== 'tour') assert.match(stdout, /^Examples:\n {2}\S/m);
    for (const line of stdout.split('\n')) assert.ok(line.length <= 100, line);
  });
}

test('the version is that of the package', async () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  const { code, stdout } = await memmap(['--version']);
  assert.deepEqual([code, stdout], [0, `${version}\n`]);
});

const wrong: [string, string[]][] = [
  ['a command that there is not', ['cach']],
  ['an option that there is not', ['cache', '--nope', 'x']],
  ['options before the command', ['--json', 'cache', 'x']],
  ['no file', ['cache']],
  ['no process', ['maps']],
  ['a size that is none', ['warm', '--rate', 'fast', 'x']],
  ['a rate at which nothing ever comes', ['warm', '--rate', '0', 'x']],
  ['a range that is none', ['cache', '--range', '2-1', 'x']],
  ['colours that are none', ['maps', '--color', 'some', '1']],
  ['a choice that is none', ['maps', '--group', 'colour', '1']],
  ['a process and a command', ['maps', '1', '--', 'true']],
  ['two forms of output', ['cache', '--json', '--plain', 'x']],
  ['no pattern', ['find', '', 'x']],
  ['no command behind --', ['maps', '--']],
  ['a need that is none', ['doctor', '--need', 'luck=1']],
  ['too many arguments', ['explain', 'a', 'b', 'c']],
  ['a shell that is none', ['completion', 'tcsh']],
  ['what nobody can count', ['count', 'package.json', 'sheep']],
  ['a file and a list of files', ['cache', '--files0-from', 'x', 'y']],
];
for (const [what, args] of wrong) {
  test(`exit 2, a message and nothing on stdout: ${what}`, async () => {
    const { code, stdout, stderr } = await memmap(args);
    assert.deepEqual([code, stdout], [2, ''], stderr);
    assert.match(stderr, /^memmap/);
  });
}

const failed = [
  ['watch', '--interval', 'abc', '--', 'true'],
  ['watch', '--bogus', '--', 'true'],
  ['watch', '1', '--', 'true'],
  ['watch', '--'],
  ['lock', '--bogus', 'package.json', '--', 'true'],
  ['lock', '--', 'true'],
  ['lock', 'package.json', '--'],
];
for (const args of failed) {
  test(`exit 125: the command does not run after ${args.join(' ')}`, async () => {
    const { code, stdout, stderr } = await memmap(args);
    assert.deepEqual([code, stdout], [125, ''], stderr);
    assert.match(stderr, /^memmap/);
  });
}

test('a mistyped command is answered with the right one', async () => {
  assert.match((await memmap(['cach'])).stderr, /Did you mean cache\?/);
});

test('trouble is a document, too, where JSON is asked for', async () => {
  const missing = temporaryPath('missing');
  const { code, stdout } = await memmap(['count', missing, '--json']);
  assert.equal(code, 2);
  const document = checkDocument<{ command: string; error: { code: string } }>(stdout);
  assert.deepEqual([document.command, document.error.code], ['count', 'ENOENT']);
});

interface Complaint {
  command: string;
  error: { message: string };
  exitCode: number;
}

test('so is a command line that cannot be', async () => {
  for (const args of [
    ['cache', '--json', '--nope', 'x'],
    ['watch', '--ndjson', '--nope', '1'],
    ['watch', '--ndjson', '--nope', '--', 'true'],
    ['maps', '--group', 'colour', '--json', '1'],
  ]) {
    const { code, stdout, stderr } = await memmap(args);
    assert.equal(code, args.includes('--') ? 125 : 2, stderr);
    const document = checkDocument<Complaint>(stdout);
    assert.deepEqual([document.command, document.exitCode], [args[0], code]);
    assert.ok(stderr.includes(document.error.message), stderr);
  }
});

test('-- ends the options, so that a file may be called --json', async () => {
  const { code, stderr } = await memmap(['cache', '--', '--json']);
  assert.equal(code, 2);
  assert.match(stderr, /Cannot look at --json: there is no such file/);
});

test('names that would break a line are escaped', async () => {
  const { stderr } = await memmap(['cache', temporaryPath('a\nb\u001b[31m')]);
  assert.match(stderr, /a\\nb\\x1b\[31m/);
});

test('-q leaves out hints, never errors', async () => {
  const loud = await memmap(['explain', 'EPRM']);
  const quiet = await memmap(['explain', 'EPRM', '-q']);
  assert.match(loud.stderr, /hint: /);
  assert.doesNotMatch(quiet.stderr, /hint: /);
  assert.match(quiet.stderr, /Nothing is known/);
});

test('a reader that has seen enough does not make it fail loudly', async () => {
  const path = temporaryFile('x\n'.repeat(200_000));
  const main = new URL('../../../dist/cli/main.js', import.meta.url).pathname;
  const first = (args: string) => {
    const line = `"${process.execPath}" "${main}" ${args} | head -1`;
    const { stdout, stderr } = spawnSync('sh', ['-c', line], { encoding: 'utf8' });
    return [stdout, stderr];
  };
  assert.deepEqual(first(`find x "${path}"`), ['x\n', '']);
  assert.deepEqual(first('help'), ['Usage: memmap COMMAND [options]\n', '']);
});

/** The exit code of a command line before whatever reads its output. */
async function codeBefore(reader: string, args: readonly string[]): Promise<number> {
  const line = `{ "$@"; echo "exit $?" >&2; } ${reader}`;
  const { stderr } = await runProcess(['sh', '-c', line, 'sh', ...commandLine(args)]);
  return Number(/^exit (\d+)$/m.exec(stderr)?.[1]);
}

/** Nothing of it is in memory. */
function sparseFile(): string {
  const path = temporaryFile('');
  truncateSync(path, 2 ** 20);
  return path;
}

const answers: [number, string[]][] = [
  [1, ['doctor', '--need', 'huge=1P']],
  [1, ['cache', '--require', '100', sparseFile()]],
  [2, ['cache', 'package.json', temporaryPath('missing')]],
  [5, ['watch', '--interval', '0.02', '--', 'sh', '-c', 'sleep 0.5; exit 5']],
  [0, ['watch', '--interval', '0.02', String(process.pid)]],
  [0, ['cache', '--watch=0.02', 'package.json']],
];
for (const [code, args] of answers) {
  test(`exit ${code}, whether it is read to its end or not: ${args.join(' ')}`, async () => {
    for (const reader of ['| true', '| head -1'])
      assert.equal(await codeBefore(reader, args), code);
  });
}

test('a lock holds, though nobody reads that it does', async () => {
  const line = `{ "$@" & pid=$!; sleep 1; kill -TERM $pid; wait $pid; echo "exit $?" >&2; } | true`;
  const words = commandLine(['lock', 'package.json']);
  const { stderr } = await runProcess(['sh', '-c', line, 'sh', ...words]);
  assert.match(stderr, /^exit 143$/m);
});

const lacksFull = !existsSync('/dev/full') && 'there is no /dev/full on this machine';

test(
  'output that cannot be written is trouble, messages that cannot are none',
  needs(lacksFull),
  async () => {
    const missing = temporaryPath('missing');
    assert.equal(await codeBefore('>/dev/full', ['count', 'package.json']), 2);
    assert.equal(await codeBefore('>/dev/full', ['watch', '--', 'true']), 125);
    assert.equal(await codeBefore('>/dev/full', ['watch', '--', 'sh', '-c', 'exit 7']), 7);
    assert.equal(
      await codeBefore('>/dev/full', ['watch', '--interval', '0.02', String(process.pid)]),
      2,
    );
    const words = commandLine(['cache', missing, missing]);
    const { stdout } = await runProcess(['sh', '-c', '"$@" 2>/dev/full; echo $?', 'sh', ...words]);
    assert.match(stdout, /^2$/m);
  },
);

const shells: [string, string[]][] = [
  ['bash', ['bash', '-n']],
  ['zsh', ['zsh', '-n']],
  ['fish', ['fish', '-n']],
];
for (const [shell, check] of shells) {
  test(`completion for ${shell} names every command and option`, async () => {
    const { code, stdout } = await memmap(['completion', shell]);
    assert.equal(code, 0);
    for (const name of names) assert.ok(stdout.includes(name), name);
    assert.ok(stdout.includes('files0-from'));
    assert.match(stdout, /auto always never/);
    assert.match(stdout, /\bEHWPOISON\b/);
  });
  test(`${shell} can read it`, needs(lacksCommand(shell)), async () => {
    const { stdout } = await memmap(['completion', shell]);
    const [file, ...args] = check as [string, ...string[]];
    const { status, stderr } = spawnSync(file, args, { input: stdout, encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  });
}

test('bash completes commands, options and their values', needs(lacksCommand('bash')), async () => {
  const { stdout: script } = await memmap(['completion', 'bash']);
  const complete = (...words: string[]) => {
    const list = words.map((word) => `'${word}'`).join(' ');
    const source = `${script}
COMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _memmap; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = spawnSync('bash', ['-c', source], { encoding: 'utf8' });
    return stdout.trimEnd().split('\n');
  };
  assert.deepEqual(complete('memmap', 'sn'), ['snapshot']);
  assert.deepEqual(complete('memmap', 'cache', '--req'), ['--require']);
  assert.deepEqual(complete('memmap', 'maps', '--group', ''), ['kind', 'file', 'perm', 'none']);
  assert.deepEqual(complete('memmap', 'cache', '--color', 'al'), ['always']);
  assert.deepEqual(complete('memmap', 'cache', '--color', '=', 'n'), ['never']);
  assert.deepEqual(complete('memmap', 'help', 'sn'), ['snapshot']);
  assert.deepEqual(complete('memmap', 'explain', 'EHW'), ['EHWPOISON']);
  assert.deepEqual(complete('memmap', 'explain', 'ENODEV', 'mma'), ['mmap']);
  assert.deepEqual(complete('memmap', 'completion', ''), ['bash', 'zsh', 'fish']);
  assert.deepEqual(complete('memmap', 'lock', 'x', '--', '--on'), ['']);
  assert.deepEqual(complete('memmap', 'cache', 'da'), ['']);
});
