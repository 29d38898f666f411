/**
 * What could not be found out, and why: an answer names its gaps instead of filling them.
 */

/** A fact that an answer lacks. The values that depend on it are `null`, never 0. */
export interface Unknown {
  /** What is missing: `'frame'`, `'residency'`, ... */
  readonly what: string;
  /** Why, with the system's code where it gave one. */
  readonly why: string;
  /** What would make it known; `null`: nothing on this system. */
  readonly hint: string | null;
}

export function unknown(what: string, why: string, hint: string | null = null): Unknown {
  return { what, why, hint };
}
