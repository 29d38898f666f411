/**
 * Each page fault of a process with its address, as the kernel's tracing tells it (tracefs, root).
 *
 * An instance of its own is made under `instances/`, so that nobody else's tracing is disturbed, and
 * removed at the end. The event is exceptions:page_fault_user of x86; its error code is that of the
 * processor (Intel SDM volume 3, 4.7).
 */
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { CommandError, describeError } from './errors.ts';
import { Exit, exitCodeOf } from './exit.ts';

const places = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'];
const bufferKilobytes = 4096;
const isPresent = 1;
const isWrite = 2;
const isFetch = 16;

/** What a fault wanted. A `'copy'` is a store to a page that is there but may not be stored to. */
export type FaultKind = 'read' | 'write' | 'copy' | 'execute';

export interface TracedFault {
  readonly address: bigint;
  readonly kind: FaultKind;
}

function kindOf(code: number): FaultKind {
  if (code & isFetch) return 'execute';
  if (code & isWrite) return code & isPresent ? 'copy' : 'write';
  return 'read';
}

/** Reads lines of trace_pipe; what was lost is counted. */
export function parseTrace(text: string): { faults: TracedFault[]; lost: number } {
  const faults: TracedFault[] = [];
  const pattern =
    /page_fault_user: address=(?:0x)?([0-9a-f]+) ip=\S+ error_code=(?:0x)?([0-9a-f]+)/g;
  for (const [, address, code] of text.matchAll(pattern)) {
    faults.push({
      address: BigInt(`0x${address}`),
      kind: kindOf(Number.parseInt(code ?? '0', 16)),
    });
  }
  let lost = 0;
  for (const [, count] of text.matchAll(/\[LOST (\d+) EVENTS\]/g)) lost += Number(count);
  return { faults, lost };
}

function place(): string {
  for (const directory of places) {
    if (existsSync(join(directory, 'instances'))) return directory;
  }
  throw new CommandError('Cannot trace faults: tracefs is not mounted, or not shown to this user', {
    exitCode: process.geteuid?.() === 0 ? Exit.unsupported : Exit.denied,
    hint: 'as root: mount -t tracefs none /sys/kernel/tracing; without --trace faults are counted',
  });
}

/** A trace of one process, and of what it starts. */
export class FaultTrace {
  readonly #directory: string;
  readonly #pipe: number;
  readonly #buffer = Buffer.allocUnsafe(2 ** 20);
  #rest = '';
  #isClosed = false;
  readonly #close = () => this.close();

  /** @throws CommandError where the kernel has it not, or does not let this user. */
  constructor(pid: number) {
    const event = 'events/exceptions/page_fault_user/enable';
    const root = place();
    this.#directory = join(root, 'instances', `memmap-${process.pid}`);
    try {
      mkdirSync(this.#directory);
      process.once('exit', this.#close);
      const write = (name: string, value: string | number) =>
        writeFileSync(join(this.#directory, name), String(value));
      write('buffer_size_kb', bufferKilobytes);
      write('set_event_pid', readdirSync(`/proc/${pid}/task`).join(' '));
      write('options/event-fork', 1);
      write(event, 1);
      const flags = constants.O_RDONLY | constants.O_NONBLOCK;
      this.#pipe = openSync(join(this.#directory, 'trace_pipe'), flags);
    } catch (error) {
      this.#remove();
      const { code, message } = describeError(error);
      const exitCode = code === 'ENOENT' ? Exit.unsupported : exitCodeOf(code);
      throw new CommandError(`Cannot trace faults: ${message}`, { exitCode, code });
    }
  }

  /** What came since the last time. */
  read(): { faults: TracedFault[]; lost: number } {
    const parts = [this.#rest];
    for (;;) {
      const bytes = this.#readOnce();
      if (bytes === 0) break;
      parts.push(this.#buffer.toString('latin1', 0, bytes));
    }
    const text = parts.join('');
    const end = text.lastIndexOf('\n') + 1;
    this.#rest = text.slice(end);
    return parseTrace(text.slice(0, end));
  }

  #readOnce(): number {
    try {
      return readSync(this.#pipe, this.#buffer);
    } catch (error) {
      if (describeError(error).code === 'EAGAIN') return 0;
      throw error;
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    process.off('exit', this.#close);
    closeSync(this.#pipe);
    this.#remove();
  }

  #remove(): void {
    try {
      rmdirSync(this.#directory);
    } catch {
      // it was not made, or somebody looks at it
    }
  }
}
