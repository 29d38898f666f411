/**
 * What an error or a word of memory mapping means, and what to do: a table, and a way to ask it.
 * The errors of the calls are those of their manual pages and of the kernel's source; what they mean
 * here was tried.
 */
import { invalidArgument } from '../core/errors.ts';
import { calls } from './explain-calls.ts';
import { own, words } from './explain-words.ts';

/** A reason for which something happens, and the way out. */
export interface Cause {
  readonly cause: string;
  readonly cure: string;
}

/** What a term means. */
export interface Explanation {
  /** `'ENODEV'`, `'SIGBUS'`, `'ERR_MEMMAP_CLOSED'`, `'RssFile'`, ... */
  readonly term: string;
  /** The system call, as one term has other reasons in each; `null`: of no call. */
  readonly call: string | null;
  readonly kind: 'error' | 'signal' | 'memmap' | 'word';
  /** In one sentence. */
  readonly meaning: string;
  /** The likely ones first; empty for words. */
  readonly causes: readonly Cause[];
}

const fromCalls: Explanation[] = calls.flatMap(({ call, errors }) =>
  errors.map(([term, meaning, causes]) => ({
    term,
    call,
    kind: 'error' as const,
    meaning,
    causes: causes.map(([cause, cure]) => ({ cause, cure })),
  })),
);

const fromOwn: Explanation[] = own.map(([term, kind, meaning, causes]) => ({
  term,
  call: null,
  kind,
  meaning,
  causes: causes.map(([cause, cure]) => ({ cause, cure })),
}));

const fromWords: Explanation[] = words.map(([term, meaning]) => ({
  term,
  call: null,
  kind: 'word',
  meaning,
  causes: [],
}));

/** Everything that can be explained. */
export const explanations: readonly Explanation[] = [...fromCalls, ...fromOwn, ...fromWords];

/** One number, two names: what Node calls EOPNOTSUPP on Linux. */
const otherNames: Readonly<Record<string, string>> = { enotsup: 'eopnotsupp' };

/**
 * What a term means; in several calls, where it is an error of several and none is given.
 * @param term An error's code, a signal, or a word of the field; upper and lower case are alike. The
 * name of a call gives all its errors.
 * @param call A system call: `'mmap'`, `'mlock'`, ...
 * @returns Empty where it is not known.
 *
 * ```ts
 * explain('ENODEV', 'mmap')[0]?.causes;
 * ```
 */
export function explain(term: string, call?: string): Explanation[] {
  if (typeof term !== 'string') throw invalidArgument('term', 'of type string', term);
  if (call !== undefined && typeof call !== 'string') {
    throw invalidArgument('call', 'of type string', call);
  }
  const lower = term.toLowerCase();
  const wanted = otherNames[lower] ?? lower;
  const of = call?.toLowerCase();
  return explanations.filter((explanation) => {
    const isTerm = explanation.term.toLowerCase() === wanted;
    if (of !== undefined) return isTerm && explanation.call === of;
    return isTerm || explanation.call === wanted;
  });
}
