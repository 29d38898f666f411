/**
 * `memmap explain`: what an error or a word means, and what to do.
 */
import { getSystemErrorName } from 'node:util';
import type { Command } from 'commander';
import { type Explanation, explain, explanations } from '../../inspect/index.ts';
import type { CommandModule, Invocation } from '../command.ts';
import { CommandError } from '../errors.ts';
import { Exit } from '../exit.ts';
import { printable } from '../format.ts';
import type { Output } from '../output.ts';

function configure(command: Command): void {
  command
    .argument('[term]', 'an error (its code or number), a signal, a system call, or a word')
    .argument('[call]', 'the system call that gave the error')
    .description(
      `What an error or a word of memory mapping means, why it happens, and what to do. Without a term:
everything that can be explained.`,
    );
}

/** Errors that Node.js has no name for (include/uapi/asm-generic/errno.h). */
const namelessErrors: Readonly<Record<number, string>> = { 133: 'EHWPOISON' };

/** `12` and `-12` are ENOMEM. */
function termOf(text: string): string {
  if (!/^-?\d+$/.test(text)) return text;
  const number = Math.abs(Number(text));
  try {
    const name = getSystemErrorName(-number);
    return /^E\w+$/.test(name) ? name : (namelessErrors[number] ?? text);
  } catch {
    return text; // 0, or more than fits
  }
}

function titleOf({ term, call }: Explanation): string {
  return call === null ? term : `${term} from ${call}`;
}

function show(found: readonly Explanation[], out: Output): void {
  for (const [index, explanation] of found.entries()) {
    if (index > 0) out.text('');
    out.text(out.paint('bold', titleOf(explanation)));
    out.paragraph('  ', explanation.meaning);
    for (const { cause, cure } of explanation.causes) {
      out.paragraph('  - ', cause);
      out.paragraph('    -> ', cure);
    }
  }
}

/** How many letters must change to make one word of the other (Levenshtein's distance). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}

function closest(term: string): string[] {
  const words = new Set(
    explanations.flatMap((e) => (e.call === null ? [e.term] : [e.term, e.call])),
  );
  const far = Math.max(2, Math.floor(term.length / 3));
  return [...words]
    .map((word) => ({ word, far: distance(word.toLowerCase(), term.toLowerCase()) }))
    .filter((found) => found.far <= far)
    .sort((a, b) => a.far - b.far)
    .slice(0, 3)
    .map(({ word }) => word);
}

function listAll(out: Output): void {
  const columns = new Map<string, Set<string>>();
  for (const { kind, term, call } of explanations) {
    const key = call === null ? `${kind}s` : `errors of ${call}`;
    columns.set(key, (columns.get(key) ?? new Set()).add(term));
  }
  for (const [key, terms] of columns) out.paragraph(`${key}: `, [...terms].join(' '));
}

/** Terms and calls that are one word of a shell. */
const oneWords = [
  ...new Set(explanations.flatMap(({ term, call }) => (call === null ? term : [term, call]))),
].filter((word) => /^[\w-]+$/.test(word));

function run({ args, out }: Invocation): number {
  const [text, call] = args;
  if (text === undefined) {
    listAll(out);
    plain(explanations, out);
    out.document({ explanations });
    return Exit.ok;
  }
  const term = termOf(text);
  const found = explain(term, call);
  if (found.length === 0) throw unknownTerm(term, call);
  show(found, out);
  plain(found, out);
  out.document({ explanations: found });
  return Exit.ok;
}

function plain(found: readonly Explanation[], out: Output): void {
  if (out.mode !== 'plain') return;
  out.raw(...found.map(({ term, call, meaning }) => [term, call ?? '-', meaning].join('\t')));
}

function unknownTerm(term: string, call: string | undefined): CommandError {
  const calls = explain(term).flatMap((explanation) => explanation.call ?? []);
  const what = call === undefined ? printable(term) : `${printable(term)} from ${printable(call)}`;
  const near = closest(term);
  const hint =
    calls.length > 0
      ? `it is explained of ${calls.join(', ')}`
      : near.length > 0
        ? `is it ${near.join(', ')}?`
        : 'memmap explain  lists everything that is known';
  return new CommandError(`Nothing is known of ${what}`, { exitCode: Exit.no, hint });
}

export const explainCommand: CommandModule = {
  configure,
  modes: ['json', 'plain'],
  completes: oneWords,
  examples: [
    ['memmap explain ENODEV mmap', 'one error of one call'],
    ['memmap explain ENOMEM', 'of all calls'],
    ['memmap explain SIGBUS', 'a signal'],
    ['memmap explain RssFile', 'a word'],
    ['memmap explain mlock', 'all errors of a call'],
  ],
  run,
};
