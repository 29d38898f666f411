/**
 * A second process that uses the library: what the documents do with fork().
 */
import { spawnSync } from 'node:child_process';

const library = new URL('../../index.js', import.meta.url).href;

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
    timeout: 20_000,
    ...(user === undefined ? {} : { uid: user, gid: user }),
  });
  try {
    return status === 0 ? JSON.parse(stdout) : undefined;
  } catch {
    return undefined;
  }
}
