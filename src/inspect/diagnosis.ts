/**
 * The form of a diagnosis: one line for each thing that was looked at.
 */

/** What a check is about. */
export type CheckGroup = 'limits' | 'memory' | 'kernel' | 'file' | 'process';

/** `'ok'`; `'warn'`: will hurt some; `'fail'`: what is needed cannot be had; `'skip'`: unknown. */
export type CheckStatus = 'ok' | 'warn' | 'fail' | 'skip';

/** A line of a diagnosis. */
export interface Check {
  readonly group: CheckGroup;
  /** `'RLIMIT_MEMLOCK'`, `'huge pages'`, ... */
  readonly name: string;
  readonly status: CheckStatus;
  /** What was found, in words. */
  readonly value: string;
  /** What it means; empty where there is nothing to say. */
  readonly why: string;
  /** What to do, where there is something: often a command. */
  readonly cure: string | null;
  /** The cure takes root. */
  readonly needsRoot: boolean;
}

/** What somebody is going to need. All optional. */
export interface Needs {
  /** Bytes to lock. */
  lock?: number | undefined;
  /** Bytes of address space to map. */
  map?: number | undefined;
  /** Mappings. */
  maps?: number | undefined;
  /** Bytes of huge pages from the reserved pool. */
  huge?: number | undefined;
}

interface Finding {
  status?: CheckStatus;
  why?: string;
  cure?: string | null;
  needsRoot?: boolean;
}

export function check(group: CheckGroup, name: string, value: string, found: Finding = {}): Check {
  const { status = 'ok', why = '', cure = null, needsRoot = false } = found;
  return { group, name, status, value, why, cure, needsRoot };
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** Bytes for people: `8 MiB`, `1.5 GiB`; `unlimited`, `unknown`. */
export function sizeInWords(bytes: number | null): string {
  if (bytes === null) return 'unknown';
  if (bytes === Number.POSITIVE_INFINITY) return 'unlimited';
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Math.round(value * 10) / 10} ${units[unit]}`;
}
