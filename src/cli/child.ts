/**
 * Another command that is run and looked at.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
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
  /** Lets one go that was held before its first instruction. */
  release(): void;
}

export interface ChildOptions {
  /** Its stdout is ours; else it goes to stderr, as stdout is for data. */
  keepsStdout?: boolean;
  /** It waits for `release`, with the pid that it keeps; without a Linux or a shell there is none. */
  isHeld?: boolean;
}

/** Says that it waits, and becomes the command when it is told; without us it ends. */
const holdingScript = 'echo >&3; read -r _ <&3 || exit 125; exec 3>&- "$@"';

/**
 * Starts a command. Signals from the terminal reach it by themselves.
 * @throws CommandError 127: there is none; 126: it cannot be executed; 125: anything else.
 */
export async function startChild(
  command: readonly string[],
  { keepsStdout = false, isHeld = false }: ChildOptions = {},
): Promise<RunningChild> {
  if (command.length === 0) throw usage('there is no command behind --');
  const words = isHeld ? ['sh', '-c', holdingScript, 'sh', ...command] : command;
  const [file, ...args] = words as [string, ...string[]];
  const child = spawn(file, args, {
    stdio: [
      'inherit',
      keepsStdout ? 'inherit' : 2,
      'inherit',
      ...(isHeld ? ['pipe' as const] : []),
    ],
  });
  const line = child.stdio[3] as Duplex | undefined;
  line?.on('error', () => {}); // it has ended before its time: that is told by its code
  let code: number | undefined;
  const ended = new Promise<number>((resolve) => {
    child.once('exit', (status, signal) => {
      code = status ?? exitCodeOfSignal(signal as NodeJS.Signals);
      resolve(code);
    });
  });
  await started(child, file);
  if (line) await Promise.race([once(line, 'data'), ended]);
  return {
    pid: child.pid as number,
    ended,
    get code() {
      return code;
    },
    kill: (signal) => void child.kill(signal),
    release: () => void line?.end('\n'),
  };
}

/** Aborts when a command has ended, or with another signal: no timer is left that we would wait for. */
export function endOf(child: RunningChild, signal?: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const end = () => controller.abort();
  void child.ended.then(end);
  if (signal?.aborted) end();
  signal?.addEventListener('abort', end, { once: true });
  return controller.signal;
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
