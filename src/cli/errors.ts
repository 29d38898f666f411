/**
 * Errors as they are told.
 */
import { Exit, exitCodeOf } from './exit.ts';

/** What an error says, and the cure where there is one. */
export interface Described {
  readonly code: string | null;
  readonly message: string;
  readonly hint: string | null;
}

export function describeError(error: unknown): Described {
  if (!(error instanceof Error)) return { code: null, message: String(error), hint: null };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : null;
  const hint = 'hint' in error && typeof error.hint === 'string' ? error.hint : null;
  return { code, message: error.message, hint };
}

/** An end of a command that is told in its own words, without a stack. */
export class CommandError extends Error {
  readonly code: string | null;
  readonly hint: string | null;
  readonly exitCode: number;

  constructor(
    message: string,
    details: { hint?: string; exitCode?: number; code?: string | null } = {},
  ) {
    super(message);
    const { hint = null, exitCode = Exit.trouble, code = null } = details;
    this.code = code;
    this.hint = hint;
    this.exitCode = exitCode;
  }
}

/** The command line is wrong. */
export function usage(message: string, hint?: string): CommandError {
  return new CommandError(message, hint === undefined ? {} : { hint });
}

/** The exit code that an error stands for; `null`: it is a mistake of this program. */
export function exitCodeFor(error: unknown): number | null {
  if (error instanceof CommandError) return error.exitCode;
  const { code } = describeError(error);
  return code === null ? null : exitCodeOf(code);
}
