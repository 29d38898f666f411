/**
 * Another command that is run and looked at.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { CommandError, usage } from './errors.ts';
import { Exit, exitCodeOfSignal } from './exit.ts';
import { type Interruption, pause } from './interrupt.ts';

export interface RunningChild {
  readonly pid: number;
  /** Its exit code; of a signal 128 and its number. */
  readonly ended: Promise<number>;
  /** `undefined`: it runs. */
  readonly code: number | undefined;
  kill(signal: NodeJS.Signals): void;
}

export interface ChildOptions {
  /** Its stdout is ours; else it goes to stderr, as stdout is for data. */
  keepsStdout?: boolean;
}

/**
 * Starts a command. Signals from the terminal reach it by themselves.
 * @throws CommandError 127: there is none; 126: it cannot be executed; 125: anything else.
 */
export async function startChild(
  command: readonly string[],
  { keepsStdout = false }: ChildOptions = {},
): Promise<RunningChild> {
  const [file, ...args] = command;
  if (file === undefined) {
    throw usage('there is no command behind --');
  }
  const child = spawn(file, args, { stdio: ['inherit', keepsStdout ? 'inherit' : 2, 'inherit'] });
  let code: number | undefined;
  const ended = new Promise<number>((resolve) => {
    child.once('exit', (status, signal) => {
      code = status ?? exitCodeOfSignal(signal as NodeJS.Signals);
      resolve(code);
    });
  });
  await started(child, file);
  return {
    pid: child.pid as number,
    ended,
    get code() {
      return code;
    },
    kill: (signal) => void child.kill(signal),
  };
}

/** Passes on to a command what asks this process to end. */
export function passOn(child: RunningChild, interruption: Interruption): void {
  const { signal } = interruption;
  const pass = async () => {
    await pause(0.1); // from a terminal it has the signal already
    if (child.code === undefined) child.kill(interruption.name ?? 'SIGTERM');
  };
  if (signal.aborted) void pass();
  else signal.addEventListener('abort', () => void pass(), { once: true });
}

function started(child: ChildProcess, file: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error: NodeJS.ErrnoException) => {
      const code = error.code ?? 'EIO';
      const exitCode =
        code === 'ENOENT'
          ? Exit.notFound
          : code === 'EACCES' || code === 'ENOEXEC'
            ? Exit.notExecutable
            : Exit.toolFailed;
      const state = code === 'ENOENT' ? 'there is no such command' : 'it cannot be executed';
      reject(new CommandError(`Cannot run ${file}: ${state} (${code})`, { exitCode, code }));
    });
  });
}
