// npm run test:runtimes: the compiled tests on every runtime, pinned in ci/package.json.
//
//   npm run test:runtimes -- flush            only files whose path contains "flush"
//   npm run test:runtimes -- --on=bun,node-26   only runtimes whose name begins with one of these
//   npm run test:runtimes -- --others           not on this Node, where npm test has run them
//   npm run test:runtimes -- --again            what failed is run once more, by itself
//
// Every runtime runs every file; Bun and Deno with their own node:test, where the tests of
// unsupported.mjs must fail. Besides they run the scripts of test/runtime, which need no test runner
// and demand that exactly the expected capabilities are unsupported.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, install, main, npm, progress, root } from './setup.mjs';
import { testFiles } from './test.mjs';
import { unsupported } from './unsupported.mjs';

const ci = join(root, 'ci');
const installed = (path) => join(ci, 'node_modules', path);
const reporter = pathToFileURL(join(root, 'scripts/runtime-reporter.mjs')).href;
const scripts = ['smoke', 'churn'].map((name) => join(root, `build/test/runtime/${name}.js`));
const minutes = 60_000;

const runtimes = [
  { name: `node-${process.versions.node}`, binary: process.execPath, kind: 'node', isThis: true },
  { name: 'node-22', binary: installed('node22/bin/node'), kind: 'node' },
  { name: 'node-24', binary: installed('node24/bin/node'), kind: 'node' },
  { name: 'node-26', binary: installed('node26/bin/node'), kind: 'node' },
  { name: 'bun', binary: installed('@oven/bun-linux-x64/bin/bun'), kind: 'bun' },
  { name: 'deno', binary: installed('@deno/linux-x64-glibc/deno'), kind: 'deno' },
];

/** Run as scripts of test/runtime instead. */
const onlyNode = ['churn', 'smoke'].map((name) => join(root, `build/test/process/${name}.test.js`));

// -- answers: { file, name, state: 'passed' | 'failed' | 'skipped' | 'unsupported', error? } ------

/** All files at once, by the runner of this Node. */
async function runOnNode({ binary }, files) {
  if (files.length === 0) return []; // without files, node would look for some itself
  const args = [
    ...['--test', '--expose-gc', '--enable-source-maps', '--test-timeout=600000'],
    `--test-concurrency=${availableParallelism()}`,
    ...[`--test-reporter=${reporter}`, '--test-reporter-destination=stdout'],
    ...files,
  ];
  const { stdout, stderr, ending } = await run(binary, args, 30 * minutes);
  const answers = stdout.split('\n').filter(Boolean).map(readLine);
  // A file without any test counts as one test that passed.
  for (const answer of answers) {
    if (answer.state !== 'passed' || !files.includes(answer.name)) continue;
    Object.assign(answer, { state: 'failed', error: 'no test in this file' });
  }
  if (ending !== 'exit 0' && !answers.some(({ state }) => state === 'failed')) {
    answers.push({ file: 'the test runner', name: ending, state: 'failed', error: stderr });
  }
  return answers;
}

function readLine(line) {
  try {
    return JSON.parse(line);
  } catch {
    return { file: 'the test runner', name: 'report', state: 'failed', error: line };
  }
}

/** A process for each file, some at a time, then the scripts one by one. */
async function runOnOther(runtime, files) {
  const directory = mkdtempSync(join(tmpdir(), 'memmap-runtime-'));
  const answers = [];
  const pending = files.values();
  const work = async () => {
    for (const file of pending) answers.push(...(await runFile(runtime, file, directory)));
  };
  try {
    await Promise.all(Array.from({ length: availableParallelism() }, work));
    return answers;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function runFile(runtime, file, directory) {
  if (scripts.includes(file)) return runScript(runtime, file, directory);
  const report = join(directory, `${file.replaceAll('/', '-')}.xml`);
  const args = {
    bun: [
      '--expose-gc',
      'test',
      '--timeout=600000',
      '--reporter=junit',
      `--reporter-outfile=${report}`,
    ],
    deno: [
      'test',
      '--allow-all',
      '--no-check',
      '--quiet',
      '--v8-flags=--expose-gc',
      `--junit-path=${report}`,
    ],
  }[runtime.kind];
  rmSync(report, { force: true });
  const { stdout, stderr, ending } = await run(runtime.binary, [...args, file], 10 * minutes);
  const answers = existsSync(report) ? readReport(readFileSync(report, 'utf8'), file) : [];
  const hasFailed = answers.some(({ state }) => state === 'failed');
  if (answers.length === 0 || (ending !== 'exit 0' && !hasFailed)) {
    answers.push({ file, name: ending, state: 'failed', error: `${stdout}\n${stderr}` });
  }
  expectFailures(runtime.kind, file, answers);
  return answers;
}

const pathOf = (file) => relative(root, file).replace(/^build\//, '');
const isNamed = (pattern, name) =>
  pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;

/** Makes 'unsupported' of the failures that unsupported.mjs demands, and failures of other answers. */
function expectFailures(kind, file, answers) {
  for (const { what, error, isRace, tests } of unsupported[kind]) {
    for (const pattern of tests[pathOf(file)] ?? []) {
      const named = answers.filter(({ name }) => isNamed(pattern, name));
      if (named.length === 0) {
        answers.push({ file, name: pattern, state: 'failed', error: `no such test: ${what}` });
      }
      for (const answer of named) {
        if (answer.state === 'failed' && error.test(answer.error)) {
          Object.assign(answer, { state: 'unsupported', what });
        } else if (answer.state === 'passed' && !isRace) {
          const text = `it passes; take it off scripts/unsupported.mjs: ${what}`;
          Object.assign(answer, { state: 'failed', error: text });
        }
      }
    }
  }
}

/** The tests of a JUnit report: `<testcase name="..."><failure message="...">...</testcase>`. */
function readReport(xml, file) {
  return [...xml.matchAll(/<testcase ([^>]*?)(\/>|>([\s\S]*?)<\/testcase>)/g)].map(
    ([, attributes, , content = '']) => {
      const name = decode(/\bname="([^"]*)"/.exec(attributes)?.[1] ?? '?');
      const failure = /<(?:failure|error)([\s\S]*)/.exec(content)?.[1];
      const state = failure ? 'failed' : content.includes('<skipped') ? 'skipped' : 'passed';
      return { file, name, state, error: failure && decode(failure) };
    },
  );
}

function decode(text) {
  const characters = { lt: '<', gt: '>', quot: '"', apos: "'", '#10': '\n', amp: '&' };
  return text.replace(/&(lt|gt|quot|apos|#10|amp);/g, (_, name) => characters[name]);
}

/** How a script is run: on Deno with exactly what it needs, and once more with everything. */
function commands({ kind, binary }, file, directory) {
  if (kind === 'bun') return [['--expose-gc', file, directory]];
  const start = ['run', '--quiet', '--no-prompt', '--v8-flags=--expose-gc'];
  const needed = [
    ...['--allow-ffi', '--allow-read'], // what the library needs
    `--allow-write=${directory}`, // the files that it maps
    `--allow-run=${realpathSync(binary)}`, // itself: how does a process end?
    '--allow-env=NODE_V8_COVERAGE', // which child_process reads
  ];
  const restricted = [...start, ...needed, file, directory];
  if (!file.endsWith('smoke.js')) return [restricted];
  return [restricted, [...start, '--allow-all', file, directory, '--all-permissions']];
}

/** A script of test/runtime: one line a check, see test/runtime/runtime.ts. */
async function runScript(runtime, file, parent) {
  const directory = mkdtempSync(join(parent, 'script-')); // the scripts use the same names
  const answers = [];
  for (const command of commands(runtime, file, directory)) {
    const ended = await run(runtime.binary, command, 10 * minutes);
    answers.push(...readLines(ended, file));
  }
  return answers;
}

function readLines({ stdout, stderr, ending }, file) {
  const answers = [];
  for (const line of stdout.split('\n')) {
    const [, word, name, error] = /^(ok|unsupported|failed): (.*?)(?: \((.*)\))?$/.exec(line) ?? [];
    if (!word) continue;
    const state = word === 'ok' ? 'passed' : word;
    answers.push(state === 'failed' ? { file, name, state, error } : { file, name, state });
  }
  const hasFailed = answers.some(({ state }) => state === 'failed');
  if (answers.length === 0 || (ending !== 'exit 0' && !hasFailed)) {
    const last = answers.at(-1)?.name ?? 'nothing';
    answers.push({ file, name: `${ending} after "${last}"`, state: 'failed', error: stderr });
  }
  return answers;
}

// -- all of them --------------------------------------------------------------------------------

/** Runs a program to its end; a hanging one is ended by force. */
function run(binary, args, timeout) {
  return new Promise((resolve, reject) => {
    const child = spawn(binary, args, {
      cwd: root,
      env: { ...process.env, NO_COLOR: '1', NODE_TEST_CONTEXT: undefined },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const texts = { stdout: '', stderr: '' };
    const watchdog = setTimeout(() => child.kill('SIGKILL'), timeout);
    for (const name of ['stdout', 'stderr']) {
      child[name].setEncoding('utf8').on('data', (text) => {
        texts[name] += text;
      });
    }
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(watchdog);
      resolve({ ...texts, ending: signal ? `died by ${signal}` : `exit ${code}` });
    });
  });
}

function installRuntimes() {
  const isCurrent = ({ binary }) => existsSync(binary);
  const lock = readFileSync(join(ci, 'package-lock.json'), 'utf8');
  const record = installed('.package-lock.json');
  const versions = (text) => text.match(/"integrity": "[^"]*"/g)?.join();
  const isSame = existsSync(record) && versions(readFileSync(record, 'utf8')) === versions(lock);
  if (isSame && runtimes.every(isCurrent)) return;
  progress('installing the runtimes of ci/');
  npm(['ci', '--prefix', ci, '--no-audit', '--no-fund']);
}

/** The file that is run, of one that a report names: its source where there are source maps. */
const compiled = (file) => join(root, 'build', pathOf(file)).replace(/\.ts$/, '.js');

/** Runs the files with failures again; what fails twice counts, and the rest has been told. */
async function runAgain(runtime, runFiles, answers) {
  const failed = new Set();
  for (const { file, state } of answers) if (state === 'failed') failed.add(compiled(file));
  const files = [...failed].filter(existsSync);
  if (files.length === 0) return answers;
  tellFailures(answers, 'failed, run again');
  const isAgain = ({ file }) => files.includes(compiled(file));
  return [...answers.filter((answer) => !isAgain(answer)), ...(await runFiles(runtime, files))];
}

const indented = (text) => text.trim().split('\n').slice(0, 30).join('\n    ');
const count = (answers, wanted) => answers.filter(({ state }) => state === wanted).length;

function summary(answers) {
  const skipped = count(answers, 'skipped');
  const lacking = count(answers, 'unsupported');
  const line = `${count(answers, 'passed')} passed, ${count(answers, 'failed')} failed`;
  const more = lacking > 0 ? `${line}, ${lacking} unsupported` : line;
  return skipped > 0 ? `${more}, ${skipped} skipped` : more;
}

function tellFailures(answers, word) {
  for (const { file, name: test, state, error = '' } of answers) {
    if (state !== 'failed') continue;
    console.log(`  ${word}: ${pathOf(file)}: ${test === file ? '' : test}\n    ${indented(error)}`);
  }
}

function tell({ name, kind }, answers, seconds) {
  const isNode = kind === 'node';
  tellFailures(answers, 'failed');
  const lacking = answers.filter(({ state }) => state === 'unsupported');
  for (const lack of new Set(lacking.map(({ name: test, what = test }) => what))) {
    console.log(`  unsupported: ${lack}`);
    const tests = lacking.filter(({ what }) => what === lack);
    for (const { file, name: test } of tests) console.log(`    ${pathOf(file)}: ${test}`);
  }
  const skipped = isNode ? [] : answers.filter(({ state }) => state === 'skipped');
  for (const { file, name: test } of skipped) console.log(`  skipped: ${pathOf(file)}: ${test}`);
  console.log(`${name}: ${summary(answers)} in ${seconds} s`);
}

await main(async () => {
  const options = process.argv.slice(2).filter((argument) => argument.startsWith('--'));
  const words = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
  const only = options
    .find((option) => option.startsWith('--on='))
    ?.slice(5)
    .split(',');
  const isChosen = ({ name, isThis }) =>
    !(isThis && options.includes('--others')) && (!only || only.some((o) => name.startsWith(o)));
  install();
  build({ tests: true });
  installRuntimes();
  const isWanted = (file) => words.length === 0 || words.some((word) => file.includes(word));
  const all = [];
  for (const runtime of runtimes.filter(isChosen)) {
    const start = Date.now();
    const isNode = runtime.kind === 'node';
    const tests = testFiles(words).filter((file) => isNode || !onlyNode.includes(file));
    const files = isNode ? tests : [...tests, ...scripts.filter(isWanted)];
    const runFiles = isNode ? runOnNode : runOnOther;
    let answers = await runFiles(runtime, files);
    if (options.includes('--again')) answers = await runAgain(runtime, runFiles, answers);
    if (answers.length === 0) continue;
    tell(runtime, answers, Math.round((Date.now() - start) / 1000));
    all.push(...answers);
  }
  if (all.length === 0) progress('no test ran');
  console.log(summary(all));
  return count(all, 'failed') > 0 || count(all, 'passed') === 0 ? 1 : 0;
});
