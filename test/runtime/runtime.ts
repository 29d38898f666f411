/**
 * What differs among the runtimes, and checks that need no test runner: Bun and Deno have node:test
 * in part only.
 */

/** `'node'`, `'bun'` or `'deno'`; Bun and Deno have `process.versions.node`, too. */
export const runtime =
  'bun' in process.versions ? 'bun' : 'deno' in process.versions ? 'deno' : 'node';

const { gc, Bun } = globalThis as unknown as {
  gc?: () => void;
  Bun?: { gc(isNow: boolean): void };
};

/** Collects garbage now. Needs `--expose-gc`, on Deno `--v8-flags=--expose-gc`. */
export function collect(): void {
  if (Bun) Bun.gc(true);
  else if (gc) gc();
  else throw new Error('Cannot collect garbage: run with --expose-gc');
}

/** Lets the event loop turn, so that finalizers run that wait for it. */
export function turn(times = 3): Promise<void> {
  return new Promise((resolve) => {
    const step = (rest: number) => (rest === 0 ? resolve() : void setTimeout(step, 1, rest - 1));
    step(times);
  });
}

/** Collects until `isDone`; a minute at the most, then it throws. */
export async function collectUntil(isDone: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 60_000;
  while (!isDone()) {
    if (Date.now() > end) throw new Error(`Cannot see that ${what}: it never was`);
    collect();
    await turn(1);
  }
}

const answers = { ok: 0, unsupported: [] as string[], failed: [] as string[] };

function why(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  return `${typeof code === 'string' ? code : error.name}: ${error.message}`.replaceAll('\n', ' ');
}

/** What a runtime cannot do; thrown by a check that has found it out. */
export class Unsupported extends Error {}

function isUnsupported(error: unknown): boolean {
  const { code, name } = error as NodeJS.ErrnoException;
  if (error instanceof Unsupported) return true;
  return code === 'ERR_MEMMAP_UNSUPPORTED' || name === 'NotCapable';
}

/** Runs one check and prints a line: `ok: NAME`, `unsupported: NAME (WHY)` or `failed: NAME (WHY)`. */
export async function check(name: string, run: () => unknown): Promise<void> {
  try {
    await run();
    answers.ok++;
    console.log(`ok: ${name}`);
  } catch (error) {
    const kind = isUnsupported(error) ? 'unsupported' : 'failed';
    answers[kind].push(name);
    console.log(`${kind}: ${name} (${why(error)})`);
    if (kind === 'failed' && error instanceof Error) console.log(error.stack);
  }
}

/** Ends the process: 0 when nothing failed and exactly the `expected` names were unsupported. */
export function finish(expected: readonly string[]): never {
  const found = answers.unsupported;
  const surprises = [
    ...found.filter((name) => !expected.includes(name)).map((name) => `does not support ${name}`),
    ...expected.filter((name) => !found.includes(name)).map((name) => `supports ${name}`),
  ];
  for (const surprise of surprises) console.log(`failed: expectation (this runtime ${surprise})`);
  const failed = answers.failed.length + surprises.length;
  console.log(`${answers.ok} ok, ${found.length} unsupported, ${failed} failed`);
  process.exit(failed === 0 && answers.ok > 0 ? 0 : 1);
}
