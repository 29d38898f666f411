/**
 * A test whose body may kill its process: it runs in one of its own, which must end as expected.
 *
 * The child is the same test file once more, told by its environment which body to run; so bodies
 * are ordinary code, checked by the compiler. Every test of such a file is a hazard.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Ending, runProcess, scriptWords } from './child.ts';
import { temporaryDirectory } from './temporary.ts';

export interface HazardOptions {
  /** The exit code. Default 0; then the body must have come to its end. */
  code?: number | undefined;
  /** The signal that ends it, instead of a code. */
  signal?: NodeJS.Signals | undefined;
  /** What the machine lacks; false: nothing. The test is then skipped and says so. */
  lacks?: string | false | undefined;
  /** Whether the body comes to its end. Default: when the code is 0. */
  finishes?: boolean | undefined;
  /** A last look at how it ended. */
  check?: ((ending: Ending) => void) | undefined;
  prefix?: string[] | undefined;
  env?: Record<string, string> | undefined;
  timeoutMs?: number | undefined;
}

const variable = 'MEMMAP_HAZARD';
const mark = 'hazard: came to its end';
/** Which body this process has to run; not to be handed on to its children. */
const asked = process.env[variable];
delete process.env[variable];

export function hazard(
  name: string,
  body: () => void | Promise<void>,
  options: HazardOptions = {},
): void {
  if (asked === undefined) {
    test(name, { skip: options.lacks || false }, () => runHazard(name, options));
  } else if (asked === name) {
    setImmediate(runBody, body);
  }
}

async function runBody(body: () => void | Promise<void>): Promise<void> {
  await body();
  console.log(mark);
}

async function runHazard(name: string, options: HazardOptions): Promise<void> {
  const { signal, code = 0, prefix = [] } = options;
  const command = [...prefix, ...scriptWords, process.argv[1] as string];
  const ending = await runProcess(command, {
    env: { ...options.env, [variable]: name, TMPDIR: temporaryDirectory() },
    ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
  });
  const text = `\nstdout: ${ending.stdout}\nstderr: ${ending.stderr}`;
  const expected = signal ? { code: null, signal } : { code, signal: null };
  assert.deepEqual({ code: ending.code, signal: ending.signal }, expected, `It ended so:${text}`);
  const finishes = options.finishes ?? (code === 0 && !signal);
  assert.equal(ending.stdout.includes(mark), finishes, `Its body's end:${text}`);
  options.check?.({ ...ending, stdout: ending.stdout.replace(`${mark}\n`, '') });
}
