/**
 * Every error that memmap throws is made here, so that all of them read alike:
 * `Cannot <verb> <what>: <state>`, with the values in the message or as properties, a `code`, and
 * a `hint` where there is a cure.
 */

/** What an error knows besides its message. */
export interface ErrorDetails {
  /** The number of the system's error, negative as in Node's own errors. */
  errno?: number | undefined;
  /** The system call that failed. */
  syscall?: string | undefined;
  /** The file that was mapped, when it was given by its path. */
  path?: string | undefined;
  /** How to cure it. */
  hint?: string | undefined;
  cause?: unknown;
}

/**
 * What the system or the library refused. `code` is the system's (`'EACCES'`, `'ENOMEM'`, ...) or
 * one of `ERR_MEMMAP_CLOSED`, `ERR_MEMMAP_READ_ONLY`, `ERR_MEMMAP_UNSUPPORTED`; those of faults
 * belong to {@link FaultError}.
 */
export class MemmapError extends Error {
  readonly code: string;
  declare readonly errno?: number;
  declare readonly syscall?: string;
  declare readonly path?: string;
  declare readonly hint?: string;

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.code = code;
    for (const key of ['errno', 'syscall', 'path', 'hint'] as const) {
      const value = details[key];
      if (value !== undefined) Object.defineProperty(this, key, { value, enumerable: true });
    }
  }

  static {
    Object.defineProperty(MemmapError.prototype, 'name', { value: 'MemmapError' });
  }
}

/** What caused a {@link FaultError}. */
export type FaultCode =
  | 'ERR_MEMMAP_TRUNCATED'
  | 'ERR_MEMMAP_READ_ONLY'
  | 'ERR_MEMMAP_NO_ACCESS'
  | 'ERR_MEMMAP_IO'
  | 'ERR_MEMMAP_CLOSED';

export interface FaultDetails extends ErrorDetails {
  offset: number;
  address: bigint;
  access: 'read' | 'write' | 'unknown';
  thread: number;
  count: number;
  others?: FaultError[];
}

/**
 * A load or store that the system could not serve, and that would have ended the process. The
 * properties describe the first fault of its kind; stores into the pages around it since then may
 * be lost.
 */
export class FaultError extends MemmapError {
  declare readonly code: FaultCode;
  /** Byte of the file (or of the memory object) that was touched. */
  readonly offset: number;
  /** The address that was touched. */
  readonly address: bigint;
  /** What was tried; `'unknown'` where the processor does not tell. */
  readonly access: 'read' | 'write' | 'unknown';
  /** The system's number of the thread that did it (`gettid`). */
  readonly thread: number;
  /** Faults of this kind since the last look: at least one access each, often many. */
  readonly count: number;
  /** The faults of other kinds that were met in the same span. */
  readonly others: readonly FaultError[];

  constructor(code: FaultCode, message: string, details: FaultDetails) {
    super(code, message, details);
    this.offset = details.offset;
    this.address = details.address;
    this.access = details.access;
    this.thread = details.thread;
    this.count = details.count;
    this.others = details.others ?? [];
  }

  /** For `JSON.stringify`, which refuses a bigint: the address in hexadecimal. */
  toJSON(): object {
    return { ...this, address: `0x${this.address.toString(16)}` };
  }

  static {
    Object.defineProperty(FaultError.prototype, 'name', { value: 'FaultError' });
  }
}

function withCode<E extends Error>(error: E, code: string, hint?: string): E & { code: string } {
  Object.defineProperty(error, 'code', { value: code, enumerable: true, configurable: true });
  if (hint !== undefined) Object.defineProperty(error, 'hint', { value: hint, enumerable: true });
  return error as E & { code: string };
}

/** `'abc'`, `-1`, `[1, 2]`, an instance of URL: what was received, as Node says it. */
function received(value: unknown): string {
  if (value === null || value === undefined) return `${value}`;
  if (typeof value === 'function') return `function ${value.name}`;
  if (typeof value === 'object') {
    const name = value.constructor?.name;
    return name ? `an instance of ${name}` : 'an object without a prototype';
  }
  const text = typeof value === 'string' ? `'${value}'` : `${String(value)}`;
  const suffix = typeof value === 'bigint' ? 'n' : '';
  return `type ${typeof value} (${text.length > 60 ? `${text.slice(0, 57)}...` : text}${suffix})`;
}

/** Node's `ERR_INVALID_ARG_TYPE`: the argument is not of a kind that is accepted. */
export function invalidArgument(name: string, expected: string, actual: unknown): TypeError {
  const what = name.includes('.') ? 'property' : 'argument';
  const message = `The "${name}" ${what} must be ${expected}. Received ${received(actual)}`;
  return withCode(new TypeError(message), 'ERR_INVALID_ARG_TYPE');
}

/** Node's `ERR_OUT_OF_RANGE`: of the right kind, but not a value that is possible. */
export function outOfRange(
  name: string,
  expected: string,
  actual: unknown,
  hint?: string,
): RangeError {
  const value = typeof actual === 'bigint' ? `${actual}n` : String(actual);
  const message = `The value of "${name}" is out of range. It must be ${expected}. Received ${value}`;
  return withCode(new RangeError(message), 'ERR_OUT_OF_RANGE', hint);
}

/** Something was used after its mapping was closed. */
export function closed(action: string, path: string | null): MemmapError {
  return new MemmapError('ERR_MEMMAP_CLOSED', `Cannot ${action}: the mapping is closed`, {
    path: path ?? undefined,
  });
}

/** The system, the runtime or the kind of mapping cannot do it. */
export function unsupported(action: string, state: string, details?: ErrorDetails): MemmapError {
  return new MemmapError('ERR_MEMMAP_UNSUPPORTED', `Cannot ${action}: ${state}`, details);
}
