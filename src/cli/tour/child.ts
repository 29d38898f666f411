/**
 * A second process that uses the library: what the documents do with fork().
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';

const library = new URL('../../index.js', import.meta.url).href;
const sharedLibrary = new URL('../../shared/index.js', import.meta.url).href;
const longestAnswerMs = 20_000;

export interface ChildOptions {
  /** Becomes descriptor 3 of the child. */
  descriptor?: number;
  /** Runs the child as this user, which takes the rights of root. */
  user?: number;
}

/**
 * Runs statements that may use the whole library as `memmap`; `answer` is what the child sends back.
 * @returns The answer, or undefined where the child could not run.
 */
export function runChild(statements: string, { descriptor, user }: ChildOptions = {}): unknown {
  const source = `
    const memmap = await import(${JSON.stringify(library)});
    let answer;
    ${statements}
    process.stdout.write(JSON.stringify(answer));
  `;
  const { stdout, status } = spawnSync(process.execPath, ['--input-type=module', '-e', source], {
    cwd: '/',
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore', descriptor ?? 'ignore'],
    timeout: longestAnswerMs,
    ...(user === undefined ? {} : { uid: user, gid: user }),
  });
  try {
    return status === 0 ? JSON.parse(stdout) : undefined;
  } catch {
    return undefined;
  }
}

/** A child that lives while this process does something, and talks with it. */
export class Companion {
  readonly #child: ChildProcess;
  readonly #said: unknown[] = [];

  /**
   * Runs statements that may use the library as `memmap` and `SharedMemory`, `say(value)`, and
   * `await hear()` for what is told to it.
   */
  constructor(statements: string) {
    const source = `
      process.once('disconnect', () => process.exit());
      const memmap = await import(${JSON.stringify(library)});
      const { SharedMemory } = await import(${JSON.stringify(sharedLibrary)});
      const say = (value) => process.send(value);
      const hear = () => new Promise((resolve) => process.once('message', resolve));
      ${statements}
    `;
    this.#child = spawn(process.execPath, ['--input-type=module', '-e', source], {
      cwd: '/',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    this.#child.on('message', (value) => void this.#said.push(value));
    // Heard of in hear(): a child that could not start has said nothing.
    this.#child.on('error', () => undefined);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** The next thing that the child says; undefined where it ended without a word. */
  async hear(): Promise<unknown> {
    const patience = AbortSignal.timeout(longestAnswerMs);
    while (this.#said.length === 0 && this.#isAlive() && !patience.aborted) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return this.#said.shift();
  }

  tell(value: string): void {
    if (this.#child.connected) this.#child.send(value);
  }

  #isAlive(): boolean {
    const { pid, exitCode, signalCode, connected } = this.#child;
    return pid !== undefined && exitCode === null && signalCode === null && connected;
  }

  [Symbol.dispose](): void {
    this.#child.kill();
  }
}
