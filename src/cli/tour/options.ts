/**
 * The command line of the tour.
 */
import { parseArgs } from 'node:util';

export interface Options {
  /** The user's file. */
  file: string | null;
  /** Names of chapters; empty: all. */
  only: string[];
  json: boolean;
  list: boolean;
  help: boolean;
}

/** What the user wrote is not understood: for stderr, exit code 2. */
export class UsageError extends Error {}

export const help = `Usage: npm start -- [options] [FILE]

Memory mapping, chapter by chapter: what is done, what it does, and what it costs on this machine.
With FILE, the chapters on reading and on private copies use it; it is never written to.

Options:
  --only NAME   only this chapter; may be repeated, or take several: --only reading,copy
  --list        the names of the chapters
  --json        one JSON document with everything that was measured
  --help        this text

Temporary files need 256 MiB in TMPDIR (/tmp) and are removed.
Exit code: 0 when every chapter ran, 1 when one failed, 2 for a wrong command line or FILE.`;

/** @throws UsageError */
export function readOptions(args: string[], names: readonly string[]): Options {
  const { values, positionals } = parse(args);
  if (positionals.length > 1) throw new UsageError(`One file at most, not ${positionals.length}`);
  const only = (values.only ?? []).flatMap((value) => value.split(','));
  const unknown = only.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(`There is no chapter '${unknown}'. The chapters: ${names.join(', ')}`);
  }
  return {
    file: positionals[0] ?? null,
    only,
    json: values.json ?? false,
    list: values.list ?? false,
    help: values.help ?? false,
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        only: { type: 'string', multiple: true },
        json: { type: 'boolean' },
        list: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
