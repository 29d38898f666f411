/**
 * `memmap tour`: the documents' chapters on real files.
 */
import type { Command } from 'commander';
import type { CommandModule } from '../command.ts';
import { Exit } from '../exit.ts';

function configure(command: Command): void {
  command
    .argument('[file]', 'a file to read; it is never written to')
    .description('Memory mapping, chapter by chapter: what is done, what it does, what it costs.')
    .option('--only <name>', 'only this chapter')
    .option('--list', 'the names of the chapters');
}

/** The tour reads its own command line, as it is also what `npm start` runs. */
async function run({ args }: { args: readonly string[] }): Promise<number> {
  process.argv.splice(2, process.argv.length - 2, ...args);
  await import('../tour/main.ts');
  return typeof process.exitCode === 'number' ? process.exitCode : Exit.ok;
}

export const tour: CommandModule = {
  configure,
  modes: ['json'],
  passesThrough: true,
  examples: [
    ['memmap tour', 'all chapters'],
    ['memmap tour --only reading,copy data.bin', 'two of them, on your file'],
  ],
  run,
};
