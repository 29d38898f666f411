#!/usr/bin/env node
/**
 * The tour: `npm start -- [FILE]`.
 */
import { release } from 'node:os';
import { resolve } from 'node:path';
import { map, pageSize } from '../../index.ts';
import { describeError } from '../errors.ts';
import { formatBytes, formatDuration } from '../format.ts';
import { Screen, unheardSignal } from '../screen.ts';
import { type Chapter, Tour } from './chapter.ts';
import { chapters } from './chapters/index.ts';
import { help, type Options, readOptions, UsageError } from './options.ts';
import { type ChapterReport, type Entry, entryLines, errorLines, headLines } from './report.ts';
import { Workspace, WorkspaceError } from './workspace.ts';

const names = chapters.map(({ name }) => name);

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2), names);
  const screen = new Screen();
  if (options.help) screen.print([help]);
  else if (options.list) screen.print(listLines());
  else return runTour(options, screen);
  return 0;
}

function listLines(): string[] {
  const width = Math.max(...names.map((name) => name.length));
  return chapters.map(({ name, title }) => `${name.padEnd(width)}  ${title}`);
}

async function runTour(options: Options, screen: Screen): Promise<number> {
  const file = options.file === null ? null : resolve(startDirectory(), options.file);
  if (file !== null) checkFile(file);
  const workspace = new Workspace();
  const start = performance.now();
  const reports: ChapterReport[] = [];
  if (!options.json) screen.print(titleLines(screen, workspace));
  for (const [index, chapter] of chapters.entries()) {
    if (unheardSignal.aborted) break;
    if (options.only.length > 0 && !options.only.includes(chapter.name)) continue;
    reports.push(
      await runChapter(chapter, index + 1, { screen, workspace, file, json: options.json }),
    );
  }
  workspace.remove();
  screen.status('');
  const milliseconds = performance.now() - start;
  if (options.json)
    screen.print([JSON.stringify(toDocument(reports, file, milliseconds), null, 2)]);
  else screen.print(endLines(reports, milliseconds, screen));
  return reports.some(({ status }) => status === 'failed') ? 1 : 0;
}

/** Where the user is: npm runs its scripts in the directory of the package. */
function startDirectory(): string {
  const { npm_lifecycle_event, INIT_CWD } = process.env;
  return npm_lifecycle_event === 'start' && INIT_CWD ? INIT_CWD : process.cwd();
}

/** A file that cannot be mapped is a mistake of the command line, and said before anything runs. */
function checkFile(file: string): void {
  try {
    map(file).close();
  } catch (error) {
    const { message, hint } = describeError(error);
    throw new UsageError(hint === null ? message : `${message}\nhint: ${hint}`);
  }
}

interface Run {
  screen: Screen;
  workspace: Workspace;
  file: string | null;
  json: boolean;
}

async function runChapter(
  chapter: Chapter,
  index: number,
  { screen, workspace, file, json }: Run,
): Promise<ChapterReport> {
  const { name, title, about } = chapter;
  const start = performance.now();
  const entries: Entry[] = [];
  const failures: unknown[] = [];
  const print = (lines: string[]) => {
    if (!json) screen.print(lines);
  };
  const tour = new Tour(name, workspace, file, {
    entry(entry) {
      print(entryLines(entry, entries.at(-1), screen));
      entries.push(entry);
    },
    progress: (text) => screen.status(`[${index}/${chapters.length}] ${title}: ${text}`),
  });
  // A fault that a chapter leaves behind arrives here, a turn later.
  const fail = (error: unknown) => void failures.push(error);
  process.on('uncaughtException', fail);
  screen.status('');
  print(headLines(index, title, about, screen));
  try {
    await chapter.run(tour);
  } catch (error) {
    fail(error);
  }
  await new Promise((resolve) => setImmediate(resolve));
  process.off('uncaughtException', fail);
  tour.cleanUp();
  const error = failures.length > 0 ? describeError(failures[0]) : null;
  if (error) print(errorLines(error, screen));
  const status = error ? 'failed' : 'done';
  const milliseconds = performance.now() - start;
  return { name, title, about, status, milliseconds, entries, error };
}

function titleLines({ paint }: Screen, { directory }: Workspace): string[] {
  const { platform, arch, version } = process;
  const machine = `${platform} ${release()} ${arch}, Node.js ${version.slice(1)}`;
  return [
    `${paint('bold', 'memmap: the tour')}  ${machine}, pages of ${formatBytes(pageSize)}`,
    paint('dim', `Temporary files: ${directory} (removed at the end). --help tells the options.`),
  ];
}

function endLines(reports: ChapterReport[], milliseconds: number, screen: Screen): string[] {
  const { paint } = screen;
  const failed = reports.filter(({ status }) => status === 'failed');
  const time = formatDuration(milliseconds);
  const count = reports.length === 1 ? '1 chapter' : `${reports.length} chapters`;
  const lines = ['', paint('bold', `${count} in ${time}`)];
  const limits = reports.flatMap(({ name, entries }) =>
    entries.flatMap((entry) => (entry.kind === 'limit' ? [{ name, entry }] : [])),
  );
  if (limits.length > 0) lines.push('   What this machine, or this user, does not allow:');
  for (const { name, entry } of limits) {
    lines.push(...entryLines({ ...entry, text: `${name}: ${entry.text}` }, entry, screen));
  }
  for (const { name } of failed) lines.push(paint('red', `   FAILED: ${name}`));
  if (failed.length === 0) lines.push(paint('green', '   Every chapter ran.'));
  return lines;
}

function toDocument(chapters: ChapterReport[], file: string | null, milliseconds: number) {
  const { platform, arch, versions } = process;
  return {
    schema: 'memmap.tour/1',
    system: { platform, release: release(), arch, node: versions.node, pageSize },
    file,
    milliseconds,
    chapters,
  };
}

try {
  process.exitCode = await main();
} catch (error) {
  const { message, hint } = describeError(error);
  process.stderr.write(`memmap: ${message}\n${hint === null ? '' : `hint: ${hint}\n`}`);
  if (error instanceof UsageError) process.exitCode = 2;
  else if (error instanceof WorkspaceError) process.exitCode = 1;
  else throw error;
}
