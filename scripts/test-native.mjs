// Compiles each native/test/*.test.c with the engine, plain and under sanitizers, and runs it.
//
//   test-native.mjs                 all tests in all modes
//   test-native.mjs fault storm     only tests whose name contains one of the words
//   MEMMAP_TEST_SEED=7 ...          the same random choices again
//
// One line per test and mode, the output of those that fail, and at last the sum of their cases.
import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { defines, readTarget } from './build-native.mjs';
import { main, root } from './setup.mjs';

const folder = join(root, 'build/native-test');
const tests = join(root, 'native/test');
const sanitizer = ['-O1', '-fno-omit-frame-pointer'];
const modes = [
  { name: 'plain', flags: ['-O2'] },
  { name: 'address', flags: [...sanitizer, '-fsanitize=address,undefined'] },
  // Only where threads meet; it takes every access several times as long.
  {
    name: 'thread',
    flags: [...sanitizer, '-fsanitize=thread'],
    only: ['registry', 'storm', 'work'],
  },
];
const signals = 'handle_segv=0:handle_sigbus=0:allow_user_segv_handler=1';
const environment = {
  ...process.env,
  ASAN_OPTIONS: `${signals}:detect_leaks=1`,
  UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
  TSAN_OPTIONS: `${signals}:atexit_sleep_ms=50`,
};
// Calls of the engine that failure.test.c may let fail.
const wrapped = [
  ...['calloc', 'fallocate', 'ftruncate', 'madvise', 'malloc', 'memfd_create', 'mlock2', 'mmap'],
  ...['mprotect', 'mremap', 'open', 'realloc'],
];
const links = { failure: [`-Wl,${wrapped.map((name) => `--wrap=${name}`).join(',')}`] };
// Above the sum of the watchdogs of the cases only if many of them hang.
const timeout = 10 * 60_000;

await main(async () => {
  const words = process.argv.slice(2);
  const names = readdirSync(tests)
    .filter((file) => file.endsWith('.test.c'))
    .map((file) => basename(file, '.test.c'))
    .filter((name) => words.length === 0 || words.some((word) => name.includes(word)));
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const mode of modes) {
    const chosen = names.filter((name) => mode.only?.includes(name) ?? true);
    if (chosen.length === 0) continue;
    const obstacle = await prepare(mode);
    if (obstacle) {
      process.stdout.write(`skipped ${mode.name}: ${obstacle}\n`);
      total.skipped += chosen.length;
      continue;
    }
    const objects = await compileEngine(mode);
    await forEach(chosen, async (name) => {
      const start = Date.now();
      const { output, ...counts } = await buildAndRun(mode, name, objects);
      for (const key of Object.keys(total)) total[key] += counts[key];
      const seconds = ((Date.now() - start) / 1000).toFixed(1);
      const result = counts.failed > 0 ? 'FAILED ' : counts.passed > 0 ? 'ok     ' : 'skipped';
      const title = `${result} ${`${name}.test`.padEnd(14)} ${mode.name.padEnd(7)}`;
      process.stdout.write(`${title} ${summary(counts)} (${seconds} s)\n`);
      if (counts.failed > 0) process.stdout.write(output.replace(/^(?=.)/gm, '    | '));
    });
  }
  process.stdout.write(`${summary(total)}\n`);
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
});

function summary({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

/** Finds out whether programs of this mode run here; what is in the way, or undefined. */
async function prepare(mode) {
  mkdirSync(join(folder, mode.name), { recursive: true });
  const program = join(folder, mode.name, 'probe');
  writeFileSync(`${program}.c`, 'int main(void) { return 0; }\n');
  const compiled = await run('gcc', [...mode.flags, `${program}.c`, '-o', program]);
  if (compiled.error) return `gcc does not support ${mode.flags.at(-1)}`;
  if (!(await run(program)).error) return undefined;
  // The search for leaks needs ptrace, which containers may refuse.
  environment.ASAN_OPTIONS = environment.ASAN_OPTIONS.replace('detect_leaks=1', 'detect_leaks=0');
  const { error, output } = await run(program);
  return error && `its programs do not run here: ${output.trim().split('\n')[0]}`;
}

function compilerFlags(mode) {
  return ['-std=gnu11', '-g', ...defines, ...mode.flags, ...readTarget().includes];
}

/** The object files of the engine, without its binding. */
async function compileEngine(mode) {
  const sources = readTarget().sources.filter((source) => !source.includes('/native/binding/'));
  const objects = new Map(
    sources.map((source) => {
      const name = source.slice(join(root, 'native/').length).replaceAll('/', '-');
      return [source, join(folder, mode.name, name.replace(/\.c$/, '.o'))];
    }),
  );
  await forEach(sources, async (source) => {
    const out = ['-c', source, '-o', objects.get(source)];
    const { error, output } = await run('gcc', [...compilerFlags(mode), ...out]);
    if (error) throw new Error(`Cannot compile ${source}:\n${output}`);
  });
  return [...objects.values()];
}

/** What a test prints, and the counts of its last line. */
async function buildAndRun(mode, name, objects) {
  const program = join(folder, mode.name, `${name}.test`);
  const source = join(tests, `${name}.test.c`);
  const link = [...objects, '-o', program, '-lpthread', ...(links[name] ?? [])];
  const compiled = await run('gcc', [...compilerFlags(mode), source, ...link]);
  const { error, output } = compiled.error ? compiled : await run(program);
  const line = /^(\d+) passed, (\d+) failed, (\d+) skipped$/m.exec(output);
  if (!line) {
    const cause = error?.killed ? `no end after ${timeout / 1000} s` : `exit ${error?.code}`;
    const end = error?.signal && !error.killed ? `died by ${error.signal}` : cause;
    return { passed: 0, failed: 1, skipped: 0, output: `${output}\n${end}, and no summary\n` };
  }
  const [passed, failed, skipped] = line.slice(1).map(Number);
  const unexplained = error && failed === 0 ? 1 : 0;
  return { passed, failed: failed + unexplained, skipped, output };
}

function run(command, args = []) {
  const options = { env: environment, timeout, killSignal: 'SIGKILL', maxBuffer: 1 << 28 };
  return new Promise((resolve) => {
    execFile(command, args, options, (error, stdout, stderr) => {
      resolve({ error, output: stdout + stderr });
    });
  });
}

/** Works on as many items at once as there are processors. */
async function forEach(items, work) {
  const pending = items.values();
  const worker = async () => {
    for (const item of pending) await work(item);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
}
