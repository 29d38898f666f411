// npm test: builds, then runs the compiled tests.
//
//   npm test -- flush            only files whose path contains "flush"
//   npm test -- --test-only      options go to the test runner

import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, filesUnder, install, main, progress, root } from './setup.mjs';

/** Runs those test files; 0 when all passed, and there were any. */
export function runTests(files, { options = [], env = process.env } = {}) {
  if (files.length === 0) return fail('no test file matches');
  const report = join(root, `build/test-report.${process.pid}.tap`);
  const args = [
    '--test',
    '--expose-gc',
    '--enable-source-maps',
    '--test-timeout=600000',
    ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
    ...['--test-reporter=tap', `--test-reporter-destination=${report}`],
    ...options,
    ...files,
  ];
  const { status, signal, error } = spawnSync(process.execPath, args, {
    cwd: root,
    env,
    stdio: 'inherit',
  });
  if (error) throw error;
  const tap = readReport(report);
  if (signal) return fail(`the test runner died by ${signal}`);
  for (const [, file, cause] of tap.matchAll(
    /^not ok \d+ - (.*)\n(?: .*\n)*? {2}signal: '(\w+)'/gm,
  )) {
    progress(`${relative(root, file)} died by ${cause}`);
  }
  if (status !== 0) return status;
  if (Number(/^# tests (\d+)$/m.exec(tap)?.[1] ?? 0) === 0) return fail('no test ran');
  // The runner counts a file without any test as one test that passed.
  const empty = files.filter((file) => tap.includes(` - ${file}\n`));
  if (empty.length > 0) return fail(`no test in ${empty.map((file) => basename(file)).join(', ')}`);
  return 0;
}

/** The compiled test files under build/test whose path contains one of the words. */
export function testFiles(words = []) {
  return filesUnder(join(root, 'build/test')).filter((file) => {
    const path = relative(root, file);
    return file.endsWith('.test.js') && (words.length === 0 || words.some((w) => path.includes(w)));
  });
}

function readReport(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  } finally {
    rmSync(path, { force: true });
  }
}

function fail(message) {
  progress(message);
  return 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main(() => {
    const options = process.argv.slice(2).filter((argument) => argument.startsWith('-'));
    const words = process.argv.slice(2).filter((argument) => !argument.startsWith('-'));
    install();
    build({ tests: true });
    return runTests(testFiles(words), { options });
  });
}
