/**
 * Runs what may kill or hang a process in a child, with a watchdog.
 */
import { spawn } from 'node:child_process';
import { runtime } from '../runtime/runtime.ts';

export interface Ending {
  /** Exit code; null when a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface ChildOptions {
  args?: string[];
  /** Before node: `['setpriv', '--reuid=65534', ...]`. */
  prefix?: string[];
  /** Added to that of this process; undefined takes away. */
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** The watchdog. Default a minute: far more than any of them needs. */
  timeoutMs?: number;
}

const denoOptions = ['--no-check', '--quiet', '--v8-flags=--expose-gc'];

/** The words before the path of a script that this runtime is to run, with gc(). */
export const scriptWords: readonly string[] =
  runtime === 'deno'
    ? [process.execPath, 'run', '--allow-all', ...denoOptions]
    : [process.execPath, ...new Set(['--expose-gc', ...process.execArgv])];

/** The words that run the text of an ES module, which may import `memmap`, with gc(). */
export function moduleWords(source: string, args: readonly string[] = []): string[] {
  if (runtime === 'deno') {
    // Node and Bun have no script's path in argv then.
    const text = `process.argv.splice(1, 1);${source}`;
    return [process.execPath, 'eval', ...denoOptions, text, ...args];
  }
  return [process.execPath, '--expose-gc', '--input-type=module', '-e', source, '--', ...args];
}

/** Runs the text of an ES module; resolves to how it ended. */
export function runModule(source: string, options: ChildOptions = {}): Promise<Ending> {
  return runProcess([...(options.prefix ?? []), ...moduleWords(source, options.args)], options);
}

/** Runs a command; resolves to how it ended. */
export function runProcess(command: string[], options: ChildOptions = {}): Promise<Ending> {
  const [file, ...args] = command as [string, ...string[]];
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd: options.cwd ?? process.cwd(),
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    const watchdog = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`The child hangs: ${args.join(' ').slice(-2000)}\n${stdout}\n${stderr}`));
    }, options.timeoutMs ?? 60_000);
    child.stdout.on('data', (data) => (stdout += data));
    child.stderr.on('data', (data) => (stderr += data));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(watchdog);
      resolve({ code, signal, stdout, stderr });
    });
  });
}
