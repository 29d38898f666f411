// Runs every ```ts and ```js block of README.md and docs/*.md, except those marked `no-run`: each
// is type checked (ts) and run as a module of its own, in an empty directory of its own.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { build, filesUnder, install, main, root } from './setup.mjs';

// Inside the package, so that `import 'memmap'` means this package.
const folder = join(root, 'build/doc-examples');
const timeout = 60_000;

await main(() => {
  install();
  build();
  const examples = documents().flatMap(readExamples);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const { name, language, code } of examples) {
    writeFileSync(join(folder, `${name}.${language}`), code);
  }
  const typeErrors = compile(examples.filter(({ language }) => language === 'ts'));
  let failures = 0;
  for (const example of examples) {
    const problem = typeErrors.get(example.name) ?? runExample(example);
    console.log(`${problem ? 'FAIL' : 'ok  '} ${example.place}`);
    if (problem) console.log(problem.replace(/^/gm, '     '));
    if (problem) failures++;
  }
  console.log(`${examples.length} examples, ${failures} failed`);
  return failures === 0 ? 0 : 1;
});

function documents() {
  const docs = filesUnder(join(root, 'docs'));
  return [join(root, 'README.md'), ...docs.filter((file) => /docs\/[^/]+\.md$/.test(file))].filter(
    existsSync,
  );
}

function readExamples(file) {
  const path = relative(root, file);
  const text = readFileSync(file, 'utf8');
  const blocks = [...text.matchAll(/^```(ts|js)\b(.*)\n([\s\S]*?)^```$/gm)];
  return blocks
    .filter(([, , mark]) => !mark.includes('no-run'))
    .map(({ 1: language, 3: code, index }, n) => ({
      name: `${path.replace(/\.md$/, '').replaceAll('/', '-')}-${n + 1}`,
      place: `${path}:${text.slice(0, index).split('\n').length}`,
      language,
      code,
    }));
}

/** Compiles the examples in place; the errors of each, by its name. */
function compile(examples) {
  const errors = new Map();
  if (examples.length === 0) return errors;
  // One bad example must not keep the others from being compiled.
  const config = {
    extends: '../../tsconfig.test.json',
    compilerOptions: { rootDir: '.', outDir: '.', incremental: false, noEmitOnError: false },
    include: ['*.ts'],
    exclude: [],
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const { stdout, status } = spawnSync(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], {
    cwd: folder,
    encoding: 'utf8',
  });
  for (const line of stdout.split('\n')) {
    const name = /^([\w-]+)\.ts\(/.exec(line)?.[1];
    if (name) errors.set(name, [errors.get(name), line].filter(Boolean).join('\n'));
  }
  if (status !== 0 && errors.size === 0) throw new Error(`Cannot compile the examples: ${stdout}`);
  return errors;
}

/** What went wrong, or undefined. */
function runExample({ name }) {
  const cwd = mkdtempSync(join(tmpdir(), 'memmap-example-'));
  try {
    const { status, signal, stderr, error } = spawnSync(
      process.execPath,
      ['--enable-source-maps', join(folder, `${name}.js`)],
      { cwd, timeout, killSignal: 'SIGKILL', encoding: 'utf8' },
    );
    if (error?.code === 'ETIMEDOUT') return `no end after ${timeout / 1000} s\n${stderr}`;
    return status === 0 ? undefined : `${signal ?? `exit ${status}`}\n${stderr.trimEnd()}`;
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
}
