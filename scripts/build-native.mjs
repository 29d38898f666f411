// Builds the addon from native/. Stands alone: it is part of the package, for systems without a
// prebuilt addon (`npm install node-gyp stringzilla@4.2.3 && node node_modules/memmap/scripts/build-native.mjs`).
//
//   build-native.mjs             node-gyp, then prebuilds/<platform>-<arch>/memmap.node
//   build-native.mjs --sanitize  address and undefined-behaviour sanitizers, build/sanitize/
//   build-native.mjs --strict    every warning is an error; compiles, keeps nothing
import { execFile, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const native = join(root, 'native');
const prefix = dirname(dirname(process.execPath));
// What this system is called in binding.gyp, and its folder in native/platform.
const system = { darwin: 'mac', win32: 'win' }[process.platform] ?? process.platform;
const folder = { win32: 'windows' }[process.platform] ?? process.platform;

export const addonPath = join(root, `prebuilds/${process.platform}-${process.arch}/memmap.node`);
export const sanitizedAddonPath = join(root, 'build/sanitize/memmap.node');

/** Where the headers of the running Node.js are, whether or not they are installed. */
export function headersDirectory() {
  return join(prefix, 'include/node');
}

/** Builds with node-gyp. */
export function buildAddon() {
  const nodeGyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
  // There is no C++ here, so the C compiler links as well.
  process.env.LINK ??= process.env.CC ?? 'gcc';
  // Installed headers work offline; without them node-gyp downloads its own.
  const installed = existsSync(join(headersDirectory(), 'node_api.h'));
  const headers = installed ? [`--nodedir=${prefix}`] : [];
  // Make does not see that the headers changed, so another Node.js starts afresh.
  const marker = join(native, 'build/node-version');
  const same = existsSync(marker) && readFileSync(marker, 'utf8') === process.version;
  const steps = same ? ['configure', 'build'] : ['rebuild'];
  run(process.execPath, [nodeGyp, ...steps, '-C', native, '--loglevel=error', ...headers]);
  writeFileSync(marker, process.version);
  // Writing into the file in place would kill every process that has it loaded.
  replace(addonPath, (path) => copyFileSync(join(native, 'build/Release/memmap.node'), path));
}

/** Builds with gcc's sanitizers, to be loaded with their libraries preloaded. */
export function buildSanitizedAddon() {
  const checks = ['-fsanitize=address,undefined', '-g', '-O1', '-fno-omit-frame-pointer'];
  compileAddon(sanitizedAddonPath, 'gcc', checks);
}

/** Builds in one call of a gcc, which may be one for another processor. */
export function compileAddon(path, compiler, flags) {
  const { sources, includes } = readTarget();
  replace(path, (temporary) => {
    const kind = ['-fPIC', '-shared', '-std=gnu11', ...defines, ...includes];
    run(compiler, [...flags, ...kind, ...sources, '-o', temporary, '-lpthread']);
  });
}

/** Compiles every C file, except those of other systems, whose headers are missing here. */
export async function compileStrictly() {
  const { includes } = readTarget();
  const foreign = ['linux', 'darwin', 'windows'].filter((name) => name !== folder);
  const files = readdirSync(native, { recursive: true })
    .filter((file) => file.endsWith('.c') && !file.startsWith('build/'))
    .filter((file) => !foreign.some((name) => file.startsWith(`platform/${name}/`)))
    .map((file) => join(native, file));
  const flags = [
    '-std=gnu11',
    ...defines,
    ...['-Wall', '-Wextra', '-Wpedantic', '-Wshadow', '-Wconversion', '-Wstrict-prototypes'],
    ...['-Wvla', '-Wundef', '-Werror', '-fanalyzer', '-fdiagnostics-color=auto'],
    ...includes,
  ];
  const failed = [];
  const pending = files.values();
  const worker = async () => {
    for (const file of pending) {
      await promisify(execFile)('gcc', [...flags, '-c', file, '-o', '/dev/null']).catch((error) => {
        failed.push(file);
        process.stderr.write(error.stderr || `${error.message}\n`);
      });
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  if (failed.length > 0)
    throw new Error(`Cannot compile ${failed.length} C files without warnings`);
  process.stdout.write(`${files.length} C files compile without warnings\n`);
}

export const defines = ['-D_GNU_SOURCE', '-DNAPI_VERSION=8'];

/** The C sources and include flags that binding.gyp gives for this system. */
export function readTarget() {
  const [target] = parseGyp(readFileSync(join(native, 'binding.gyp'), 'utf8')).targets;
  const sources = listFor(target, 'sources', system).map((source) => join(native, source));
  const own = [join(native, 'include'), native];
  const others = [headersDirectory(), ...listFor(target, 'include_dirs', system)];
  const includes = [
    ...own.map((directory) => `-I${directory}`),
    // The warnings are for our code: -isystem silences the headers of others.
    ...others
      .map((directory) => join(directory.startsWith('/') ? '' : native, directory))
      .filter((directory) => !own.includes(directory))
      .flatMap((directory) => ['-isystem', directory]),
  ];
  return { sources, includes };
}

/** binding.gyp is JSON but for comments and trailing commas. */
function parseGyp(text) {
  const string = /("(?:[^"\\]|\\.)*")/.source;
  return JSON.parse(
    text
      .replace(new RegExp(`${string}|#.*`, 'g'), '$1')
      .replace(new RegExp(`${string}|,(?=\\s*[\\]}])`, 'g'), '$1'),
  );
}

/** A list of the target with what its conditions, [test, then, else?] each, add on `os`. */
function listFor(settings, name, os) {
  const chosen = (settings.conditions ?? []).flatMap(([test, then, otherwise]) =>
    holds(test, os) ? [then] : otherwise ? [otherwise] : [],
  );
  return [settings[name] ?? [], ...chosen.map((inner) => listFor(inner, name, os))].flat();
}

function holds(test, os) {
  return test.split(' or ').some((part) => {
    const [, operator, name] = /^\s*OS\s*(==|!=)\s*['"](\w+)['"]\s*$/.exec(part) ?? [];
    if (!operator) throw new Error(`Cannot read the condition of binding.gyp: ${test}`);
    return (os === name) === (operator === '==');
  });
}

function replace(path, write) {
  const temporary = `${path}.${process.pid}`;
  mkdirSync(dirname(path), { recursive: true });
  write(temporary);
  renameSync(temporary, path);
}

function run(command, args) {
  const { status, signal, error } = spawnSync(command, args, { stdio: [0, 2, 2] });
  if (error) throw error;
  if (status !== 0) throw new Error(`Cannot build the addon: ${command} ${signal ?? status}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const modes = { '--sanitize': buildSanitizedAddon, '--strict': compileStrictly };
  try {
    await (modes[process.argv[2]] ?? buildAddon)();
  } catch (error) {
    process.stderr.write(`memmap: ${error.message}\n`);
    process.exitCode = 1;
  }
}
