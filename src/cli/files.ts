/**
 * Files as they are named on a command line: operands, directories, and lists.
 */
import { lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type CommandError, describeError, usage } from './errors.ts';

export interface FileOptions {
  /** Directories are entered, and those in them. */
  recursive?: boolean | undefined;
  /** Names between zero bytes; `-` is stdin. */
  files0From?: string | undefined;
}

/** A directory that could not be read. */
export interface Unread {
  readonly path: string;
  readonly error: unknown;
}

/** The operands, with those of a list. */
export function operands(args: readonly string[], { files0From }: FileOptions): string[] {
  if (files0From === undefined) {
    if (args.length === 0) throw usage('there is no FILE', 'name one, or --files0-from');
    return [...args];
  }
  if (args.length > 0) throw usage('FILEs and --files0-from do not go together');
  return readNames(files0From)
    .split('\0')
    .filter((name) => name !== '');
}

function readNames(path: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8');
  } catch (error) {
    const { message } = describeError(error);
    throw usage(`Cannot read the names of --files0-from: ${message}`) satisfies CommandError;
  }
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false; // looked at as a file, which says what is wrong
  }
}

/** Files of a directory: regular ones, not by links; sorted. */
function walkDirectory(path: string, recursive: boolean, unread: Unread[]): string[] {
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    return entries
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .flatMap((entry) => {
        const inner = join(path, entry.name);
        if (entry.isFile()) return [inner];
        return recursive && entry.isDirectory() ? walkDirectory(inner, recursive, unread) : [];
      });
  } catch (error) {
    unread.push({ path, error });
    return [];
  }
}

/** All files: operands as they are named, and those in directories. */
export function expand(
  paths: readonly string[],
  { recursive = false }: FileOptions,
): { files: string[]; unread: Unread[] } {
  const unread: Unread[] = [];
  const files = paths.flatMap((path) =>
    isDirectory(path) ? walkDirectory(path, recursive, unread) : [path],
  );
  return { files, unread };
}

/** Bytes of a file on a command line; errors are those of the look that follows. */
export function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
