/**
 * A chapter of the tour, and what it works with.
 */
import { randomFillSync } from 'node:crypto';
import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeError } from '../errors.ts';
import type { Entry, Table, Unit, Value } from './report.ts';
import { type Contestant, type RaceOptions, race } from './timing.ts';
import type { Workspace } from './workspace.ts';

export interface Chapter {
  /** What `--only` takes: the noun that the file is named by. */
  readonly name: string;
  readonly title: string;
  /** What the documents' chapter is about, in one or two lines. */
  readonly about: string;
  run(tour: Tour): Promise<void> | void;
}

/** A file to read: the user's, or one of the tour's own. */
export interface Subject {
  readonly path: string;
  readonly byteLength: number;
  readonly isOfUser: boolean;
}

const sampleBytes = 64 * 2 ** 20;

/** What the tour tells while it runs. */
export interface Listener {
  entry(entry: Entry): void;
  progress(text: string): void;
}

/** What one chapter is given: a place for files, the user's file, and ways to say what it saw. */
export class Tour {
  readonly workspace: Workspace;
  /** Path of the user's file, which is only ever mapped `'read'` or `'copy'`. */
  readonly userFile: string | null;
  readonly #directory: string;
  readonly #listener: Listener;

  constructor(name: string, workspace: Workspace, userFile: string | null, listener: Listener) {
    this.workspace = workspace;
    this.userFile = userFile;
    this.#listener = listener;
    this.#directory = workspace.enter(name);
  }

  /** A path for a temporary file of this chapter. */
  path(name: string): string {
    return join(this.#directory, name);
  }

  /** Called when the chapter has ended. */
  cleanUp(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** The user's file, or where there is none, or nothing in it, 64 MiB of random bytes. */
  subject(): Subject {
    if (this.userFile !== null) {
      const byteLength = statSync(this.userFile).size;
      if (byteLength > 0) return { path: this.userFile, byteLength, isOfUser: true };
    }
    const path = join(this.workspace.directory, 'sample');
    if (!existsSync(path)) writeFileSync(path, randomFillSync(Buffer.allocUnsafe(sampleBytes)));
    return { path, byteLength: sampleBytes, isOfUser: false };
  }

  /** Says on the status line what comes, and lets signals be heard. */
  async step(text: string): Promise<void> {
    this.#listener.progress(text);
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** The lines that a user would write for what is done here. */
  code(...lines: string[]): void {
    this.#listener.entry({ kind: 'code', lines });
  }

  fact(label: string, value: Value, unit: Unit = null, note: string | null = null): void {
    this.#listener.entry({ kind: 'fact', label, value, unit, note });
  }

  /** Bars beside each other; times are told as multiples of the first. */
  compare(
    label: string,
    unit: Exclude<Unit, null>,
    rows: { label: string; value: number | null }[],
  ): void {
    this.#listener.entry({ kind: 'comparison', label, unit, rows });
  }

  /** Times the contestants in turns; gives their medians in this order. */
  measure(label: string, contestants: Contestant[], options: RaceOptions = {}) {
    return race(contestants, options, () => this.step(label));
  }

  /** Times the contestants in turns and shows their medians beside each other. */
  async race(label: string, contestants: Contestant[], options: RaceOptions = {}): Promise<void> {
    this.compare(label, 'ms', await this.measure(label, contestants, options));
  }

  table(columns: Table['columns'], rows: Value[][]): void {
    this.#listener.entry({ kind: 'table', columns, rows });
  }

  /** Runs what must be refused and tells how; true: it was. */
  refusal(tried: string, work: () => unknown): boolean {
    try {
      work();
    } catch (error) {
      this.refused(tried, error);
      return true;
    }
    return false;
  }

  refused(tried: string, error: unknown): void {
    const { code, hint, ...described } = describeError(error);
    const message = described.message.replaceAll(`${this.#directory}/`, '');
    this.#listener.entry({ kind: 'refusal', tried, code: code ?? 'Error', message, hint });
  }

  /** Says plainly what this machine does not allow. */
  limit(text: string): void {
    this.#listener.entry({ kind: 'limit', text });
  }
}
