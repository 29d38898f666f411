/**
 * Runs what may kill or hang a process in a child, with a watchdog.
 */
import { spawn } from 'node:child_process';

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
  nodeArgs?: string[];
  /** Added to that of this process; undefined takes away. */
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** The watchdog. Default a minute: far more than any of them needs. */
  timeoutMs?: number;
}

/** Runs the text of an ES module that may import `memmap`; resolves to how it ended. */
export function runModule(source: string, options: ChildOptions = {}): Promise<Ending> {
  const nodeArgs = [
    '--expose-gc',
    '--input-type=module',
    ...(options.nodeArgs ?? []),
    '-e',
    source,
  ];
  return runProcess(
    [...(options.prefix ?? []), process.execPath, ...nodeArgs, '--', ...(options.args ?? [])],
    options,
  );
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
