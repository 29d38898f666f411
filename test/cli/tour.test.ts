/**
 * The tour as a user runs it: in a process of its own. What it measures is looked at, times are not.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type ChildOptions, type Ending, runProcess, scriptWords } from '../support/child.ts';
import { asNobody, lacksRoot, needs } from '../support/machine.ts';
import { pattern, temporaryFile, temporaryPath } from '../support/temporary.ts';

const main = fileURLToPath(import.meta.resolve('#dist/cli/tour/main.js'));
const names =
  'reading writing copy anonymous paging flush lock protection sharing scanning huge-pages sparse errors faults';
const chapters = names.split(' ');

interface Entry {
  kind: string;
  label?: string;
  value?: unknown;
  unit?: string | null;
  code?: string;
  tried?: string;
  hint?: string | null;
  rows?: unknown[];
}
interface Document {
  schema: string;
  file: string | null;
  chapters: { name: string; status: string; error: unknown; entries: Entry[] }[];
}

/** A directory for temporary files that anybody may use. */
function makeScratch(): string {
  const path = temporaryPath('scratch');
  mkdirSync(path);
  chmodSync(path, 0o777);
  chmodSync(join(path, '..'), 0o755);
  return path;
}

async function runTour(args: string[], options: ChildOptions = {}) {
  const scratch = makeScratch();
  const env = {
    NO_COLOR: undefined,
    FORCE_COLOR: undefined,
    ...options.env,
    TMPDIR: options.env?.TMPDIR ?? scratch,
  };
  const command = [...(options.prefix ?? []), ...scriptWords, main, ...args];
  const ending = await runProcess(command, { timeoutMs: 300_000, ...options, env });
  return { ...ending, left: readdirSync(scratch) };
}

function parse(ending: Ending): Document {
  assert.equal(ending.stderr, '');
  return JSON.parse(ending.stdout);
}

/** The entry of a chapter with this label, or this call that was refused. */
function find(document: Document, chapter: string, label: string): Entry {
  const entries = document.chapters.find(({ name }) => name === chapter)?.entries ?? [];
  const found = entries.find((entry) => entry.label === label || entry.tried === label);
  assert.ok(found, `${chapter} has no '${label}'`);
  return found;
}

function checkDocument(document: Document): void {
  assert.equal(document.schema, 'memmap.tour/1');
  const failed = document.chapters.filter(({ status }) => status !== 'done');
  assert.deepEqual(failed, []);
  assert.deepEqual(
    document.chapters.map(({ name }) => name),
    chapters,
  );
  assert.equal(find(document, 'writing', 'read(2) after the stores').value, true);
  assert.equal(find(document, 'writing', 'both files have the same bytes').value, true);
  assert.equal(find(document, 'copy', 'the file is unchanged').value, true);
  assert.equal(find(document, 'anonymous', '42, stored by the child, seen here').value, 42);
  assert.equal(find(document, 'sharing', 'the counter').value, 1_000_000);
  assert.equal(find(document, 'sharing', 'the child stored 2, and loads').value, 2);
  assert.equal(find(document, 'sharing', 'this process still loads').value, 1);
  assert.equal(find(document, 'sharing', 'pages that the child has to itself').value, 1);
  assert.ok(Number(find(document, 'scanning', "count(file, 'ERROR')").value) > 10);
  assert.equal(find(document, 'errors', 'map(fd), closed before').code, 'EBADF');
  assert.match(String(find(document, 'errors', 'anonymous(2 ** 50)').hint), /overcommit|RLIMIT_AS/);
  assert.equal(find(document, 'faults', "the 'fault' event").value, 'ERR_MEMMAP_READ_ONLY');
}

test('every chapter runs, prints itself and cleans up', async () => {
  const ending = await runTour([]);
  assert.deepEqual([ending.code, ending.signal, ending.stderr], [0, null, '']);
  assert.deepEqual(ending.left, []);
  assert.match(ending.stdout, /Every chapter ran\./);
  assert.doesNotMatch(ending.stdout, /FAILED|undefined|NaN|\[object/);
  assert.ok(!ending.stdout.includes('\u001b'), 'no colour where it is no terminal');
  const heads = [...ending.stdout.matchAll(/^ ?(\d+) (?!chapters? in)/gm)].map(([, number]) =>
    Number(number),
  );
  assert.deepEqual(
    heads,
    chapters.map((_, i) => i + 1),
  );
});

test('--json is one document of everything that was measured', async () => {
  const ending = await runTour(['--json']);
  assert.equal(ending.code, 0, ending.stderr);
  assert.deepEqual(ending.left, []);
  const document = parse(ending);
  checkDocument(document);
  const touched = find(document, 'paging', 'pages touched').value;
  assert.ok(typeof touched === 'number' && touched > 0);
});

test('a user without privileges sees every chapter too', needs(lacksRoot), async () => {
  const ending = await runTour(['--json'], { prefix: asNobody });
  assert.equal(ending.code, 0, ending.stderr);
  assert.deepEqual(ending.left, []);
  checkDocument(parse(ending));
});

test("the user's file is read and never written, also where nobody may write it", async () => {
  const bytes = pattern(300_001);
  const path = temporaryFile(bytes);
  chmodSync(path, 0o444);
  const ending = await runTour(['--json', '--only', 'reading,copy', path]);
  assert.equal(ending.code, 0, ending.stderr);
  const document = parse(ending);
  assert.equal(document.file, path);
  assert.equal(find(document, 'reading', 'your file').value, bytes.length);
  assert.equal(find(document, 'copy', 'the file is unchanged').value, true);
  assert.ok(readFileSync(path).equals(bytes));
});

for (const length of [0, 1, 3, 4096, 4097]) {
  test(`a file of ${length} bytes is toured`, async () => {
    const path = temporaryFile(pattern(length));
    const ending = await runTour(['--only', 'reading', '--only', 'copy', path]);
    assert.equal(ending.code, 0, ending.stdout + ending.stderr);
    assert.ok(readFileSync(path).equals(pattern(length)));
  });
}

test('a file that cannot be mapped is refused with a hint, before anything runs', async () => {
  const missing = await runTour([temporaryPath('missing')]);
  assert.deepEqual([missing.code, missing.stdout, missing.left], [2, '', []]);
  assert.match(missing.stderr, /there is no such file/);
  const directory = await runTour([makeScratch()]);
  assert.equal(directory.code, 2);
  assert.match(directory.stderr, /ENODEV|it is a directory/);
  assert.match(directory.stderr, /hint: /);
});

test('--help, --list, and command lines that are not understood', async () => {
  const help = await runTour(['--help']);
  assert.equal(help.code, 0);
  assert.match(help.stdout, /^Usage: npm start -- /);
  const list = await runTour(['--list']);
  assert.deepEqual(
    list.stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' ')[0]),
    chapters,
  );
  for (const args of [['--what'], ['--only', 'nothing'], ['a', 'b']]) {
    const ending = await runTour(args);
    assert.deepEqual([ending.code, ending.stdout], [2, '']);
    assert.match(ending.stderr, /^memmap: /);
  }
});

test('a place without room or rights for temporary files is an error that says so', async () => {
  const missing = await runTour([], { env: { TMPDIR: temporaryPath('nowhere') } });
  assert.deepEqual([missing.code, missing.stdout], [1, '']);
  assert.match(missing.stderr, /Cannot make a temporary directory in .*\nhint: .*TMPDIR/);
  if (lacksRoot) return;
  const closed = temporaryPath('closed');
  mkdirSync(closed, { mode: 0o755 });
  const denied = await runTour([], { prefix: asNobody, env: { TMPDIR: closed } });
  assert.equal(denied.code, 1);
  assert.match(denied.stderr, /permission denied \(EACCES\)\nhint: /);
});

test('an interrupted tour leaves no files', async () => {
  const scratch = makeScratch();
  const child = spawn(process.execPath, [main], {
    env: { ...process.env, TMPDIR: scratch },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  // The second chapter has begun: files are there.
  let said = '';
  child.stdout.on('data', (data) => {
    said += data;
    if (/^ 2 /m.test(said)) child.kill('SIGINT');
  });
  const watchdog = setTimeout(() => child.kill('SIGKILL'), 120_000);
  const signal = await new Promise((resolve) => child.on('close', (_, name) => resolve(name)));
  clearTimeout(watchdog);
  assert.equal(signal, 'SIGINT');
  assert.deepEqual(readdirSync(scratch), []);
});

test('a chapter that fails is told, the others still run, and the exit code is 1', async () => {
  // A file that may not grow: whatever writes more than the limit fails.
  const path = temporaryFile('abc');
  const command = 'ulimit -f 2000; exec "$0" "$@"';
  const prefix = ['sh', '-c', command];
  const args = ['--json', '--only', 'writing,protection', path];
  const ending = await runTour(args, { prefix });
  assert.equal(ending.code, 1, ending.stderr);
  assert.deepEqual(ending.left, []);
  const [writing, protection] = (JSON.parse(ending.stdout) as Document).chapters;
  assert.deepEqual([writing?.status, protection?.status], ['failed', 'done']);
  assert.match(JSON.stringify(writing?.error), /EFBIG/);
});

test('a reader that has seen enough does not make it fail loudly', async () => {
  const command = `"${process.execPath}" "${main}" --only errors | head -1 > /dev/null`;
  const ending = await runTour([], { prefix: ['sh', '-c', command] });
  assert.equal(ending.stderr, '');
  assert.deepEqual(ending.left, []);
});
