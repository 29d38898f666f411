/**
 * What mapParallel and its workers tell each other, and how an error travels.
 *
 * Structured cloning keeps of an error its message and stack, not its class and code; those of the
 * library are taken apart and put together again.
 */
import { type FaultCode, type FaultDetails, FaultError, MemmapError } from '../core/errors.ts';

/** Work for a worker: begins a call, or one slice of it. */
export type ToWorker =
  | { kind: 'begin'; url: string; argument: unknown; fd: number; path: string | null }
  | { kind: 'slice'; index: number; offset: number; length: number };

/** What a worker answers to a slice. */
export type FromWorker =
  | { kind: 'result'; index: number; result: unknown }
  | {
      kind: 'failure';
      index: number;
      state: string;
      error: unknown;
      details: PlainError | undefined;
    };

interface PlainError {
  name: string;
  code: string;
  message: string;
  details: Record<string, unknown>;
}

const properties = [
  'errno',
  'syscall',
  'path',
  'hint',
  'offset',
  'address',
  'access',
  'thread',
  'count',
] as const;

/** The parts of an error of the library; undefined for others. */
export function takeApart(error: unknown): PlainError | undefined {
  if (!(error instanceof MemmapError)) return undefined;
  const details: Record<string, unknown> = {};
  for (const name of properties) {
    const value = (error as unknown as Record<string, unknown>)[name];
    if (value !== undefined) details[name] = value;
  }
  return { name: error.name, code: error.code, message: error.message, details };
}

export function putTogether({ name, code, message, details }: PlainError): MemmapError {
  return name === 'FaultError'
    ? new FaultError(code as FaultCode, message, details as unknown as FaultDetails)
    : new MemmapError(code, message, details);
}
