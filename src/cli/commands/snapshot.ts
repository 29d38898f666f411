/**
 * `memmap snapshot`: writes down the memory of a process.
 */
import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { snapshot } from '../../inspect/index.ts';
import type { CommandModule, Invocation } from '../command.ts';
import { describeError, usage } from '../errors.ts';
import { Exit } from '../exit.ts';
import { shellWord } from '../format.ts';
import { toJson } from '../output.ts';
import { processOf } from '../processes.ts';

interface SnapshotOptions {
  output?: string;
}

function configure(command: Command): void {
  command
    .argument('<process>', 'its number, or the name of its command')
    .description('Writes the memory of a process as one JSON document, for memmap diff.')
    .option('-o, --output <file>', 'a new file, not stdout');
}

function run({ args, options, out }: Invocation<SnapshotOptions>): number {
  const text = toJson(snapshot(processOf(args[0] as string)), 1);
  const { output } = options;
  if (output === undefined) {
    out.raw(text);
    return Exit.ok;
  }
  try {
    writeFileSync(output, `${text}\n`, { flag: 'wx' });
  } catch (error) {
    throw usage(`Cannot write the snapshot: ${describeError(error).message}`);
  }
  out.hint(`memmap diff ${shellWord(output)} ${args[0]}  tells what has changed since`);
  return Exit.ok;
}

export const snapshotCommand: CommandModule = {
  configure,
  examples: [
    ['memmap snapshot 4711 > before.json', 'now'],
    ['memmap diff before.json 4711', 'later'],
  ],
  run,
};
