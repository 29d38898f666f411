/**
 * Advice to the kernel about pages, and the ways to throw their content away.
 */
import { advices } from '../binding/native.ts';

/** What `advise` takes: the names of madvise(2), none of which destroys data. */
export type Advice =
  | 'normal'
  | 'random'
  | 'sequential'
  | 'willneed'
  | 'hugepage'
  | 'nohugepage'
  | 'cold'
  | 'pageout'
  | 'dontfork'
  | 'dofork'
  | 'dontdump'
  | 'dodump'
  | 'mergeable'
  | 'unmergeable';

/** What `discard` takes: what madvise(2) does to the content of pages. */
export type Discard = 'dontneed' | 'free' | 'remove';

export const discardNames: readonly Discard[] = ['dontneed', 'free', 'remove'];
export const adviceNames = advices.filter(
  (name): name is Advice => !(discardNames as readonly string[]).includes(name),
);

/** The number that the engine knows an advice by. */
export function adviceNumber(name: Advice | Discard): number {
  return advices.indexOf(name);
}
