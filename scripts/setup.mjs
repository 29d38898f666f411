// Installs and builds what is missing or stale, and nothing else. Freshness is judged by content,
// so a checkout, a touch or a copied folder neither hides a change nor causes work.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { addonPath, buildAddon, headersDirectory } from './build-native.mjs';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Runs `npm ci` when node_modules is missing or older than the lock file. */
export function install() {
  exclusively(() => {
    const lock = join(root, 'package-lock.json');
    const installed = join(root, 'node_modules/.package-lock.json');
    if (modified(installed) >= modified(lock)) return;
    progress('installing dependencies');
    // No install scripts: of stringzilla only the headers are wanted.
    const options = ['--ignore-scripts', '--no-audit', '--no-fund'];
    npm([existsSync(lock) ? 'ci' : 'install', ...options]);
    // Without any dependency npm writes no record of the installation.
    if (existsSync(installed)) utimesSync(installed, new Date(), new Date());
  });
}

/** Builds the addon and dist/, and with `tests` also the tests, benchmarks and examples. */
export function build({ tests = false } = {}) {
  exclusively(() => {
    const config = ['tsconfig.json', 'package.json', 'package-lock.json'];
    refresh({
      name: 'native',
      inputs: ['native', 'scripts/build-native.mjs', join(headersDirectory(), 'node_version.h')],
      outputs: [addonPath],
      work: buildAddon,
    });
    refresh({
      name: 'src',
      inputs: ['src', ...config],
      outputs: ['dist'],
      work(intact) {
        compile('src', 'tsconfig.json', intact);
        removeOrphans('src', 'dist');
      },
    });
    if (!tests) return;
    const folders = ['test', 'bench', 'examples'];
    refresh({
      name: 'test',
      inputs: [...folders, 'dist', 'tsconfig.test.json', ...config],
      outputs: folders.map((folder) => `build/${folder}`),
      work(intact) {
        compile('test', 'tsconfig.test.json', intact);
        for (const folder of folders) removeOrphans(folder, `build/${folder}`);
      },
    });
  });
}

function runNode(args) {
  run(process.execPath, args);
}

export function progress(message) {
  process.stderr.write(`memmap: ${message}\n`);
}

function refresh({ name, inputs, outputs, work }) {
  const stamp = join(root, `build/${name}.stamp`);
  const before = fingerprint(inputs);
  const [builtFrom, built] = existsSync(stamp) ? readFileSync(stamp, 'utf8').split('\n') : [];
  const intact = built === fingerprint(outputs);
  if (builtFrom === before && intact) return;
  progress(`building ${name}`);
  work(intact);
  writeFileSync(stamp, `${before}\n${fingerprint(outputs)}\n`);
}

function compile(name, project, intact) {
  // The compiler trusts its build info and would not write again what was deleted from the output.
  if (!intact) rmSync(join(root, `build/${name}.tsbuildinfo`), { force: true });
  runNode([join(root, 'node_modules/typescript/bin/tsc'), '-p', project]);
}

/** Removes compiled files whose source is gone; a renamed test would otherwise run for ever. */
function removeOrphans(from, to) {
  for (const output of filesUnder(join(root, to))) {
    const stem = /^(.*?)(\.d\.ts|\.js)(\.map)?$/.exec(relative(join(root, to), output))?.[1];
    if (stem !== undefined && !existsSync(join(root, from, `${stem}.ts`))) rmSync(output);
  }
}

function fingerprint(paths) {
  const hash = createHash('sha256');
  for (const path of paths) {
    for (const file of filesUnder(resolve(root, path))) {
      const content = readFileSync(file);
      hash.update(`${relative(root, file)}\0${content.length}\0`).update(content);
    }
  }
  return hash.digest('hex');
}

/** Every file at or below `path`, sorted, without native/build; none where there is nothing. */
export function filesUnder(path) {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (!stats) return [];
  if (!stats.isDirectory()) return [path];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !file.startsWith(join(root, 'native/build/')))
    .sort();
}

/** One installation or build at a time, also among processes. */
function exclusively(work) {
  const lock = join(root, 'build/setup.lock');
  const mine = `${lock}.${process.pid}`;
  mkdirSync(dirname(lock), { recursive: true });
  // A link appears with its content, so nobody ever reads a lock without an owner.
  writeFileSync(mine, String(process.pid));
  try {
    while (!tryLink(mine, lock)) {
      if (ownerIsGone(lock)) rmSync(lock, { force: true });
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    }
  } finally {
    rmSync(mine);
  }
  try {
    work();
  } finally {
    rmSync(lock, { force: true });
  }
}

function tryLink(from, to) {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

function ownerIsGone(lock) {
  try {
    process.kill(Number(readFileSync(lock, 'utf8')), 0);
    return Date.now() - modified(lock) > 15 * 60_000;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

function modified(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

export function npm(args) {
  const running = process.env.npm_execpath ?? '';
  if (running.endsWith('npm-cli.js')) runNode([running, ...args]);
  else run('npm', args);
}

function run(command, args) {
  const { status, signal, error } = spawnSync(command, args, { cwd: root, stdio: [0, 2, 2] });
  if (error) throw error;
  if (status !== 0) {
    throw new Error(`Cannot finish ${[command, ...args].join(' ')}: ${signal ?? `exit ${status}`}`);
  }
}

/** Runs the main function of a script and ends the process with its exit code. */
export async function main(work) {
  try {
    process.exitCode = (await work()) ?? 0;
  } catch (error) {
    progress(error.message);
    process.exitCode = 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main(() => {
    install();
    build({ tests: process.argv.includes('--tests') });
  });
}
