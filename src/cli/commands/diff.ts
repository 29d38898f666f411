/**
 * `memmap diff`: what changed between two snapshots.
 */
import type { Command } from 'commander';
import { diff, type Snapshot, snapshot } from '../../inspect/index.ts';
import type { CommandModule, Invocation } from '../command.ts';
import { Exit } from '../exit.ts';
import { isThere } from '../files.ts';
import { processOf } from '../processes.ts';
import { parsePositive } from '../size.ts';
import { diffRecord, readSnapshot, showDiff } from '../snapshots.ts';

interface DiffOptions {
  top: number;
}

function configure(command: Command): void {
  command
    .argument('<before>', 'a snapshot; - is stdin')
    .argument('<after>', 'another, or the number of a process as it is now')
    .description('What changed between two snapshots: in sum, and mapping by mapping.')
    .option(
      '--top <n>',
      'how many mappings are shown, the largest change first',
      parsePositive,
      20,
    );
}

function read(operand: string): Snapshot {
  return /^\d+$/.test(operand) && !isThere(operand)
    ? snapshot(processOf(operand))
    : readSnapshot(operand);
}

function run({ args, options, out }: Invocation<DiffOptions>): number {
  const [before, after] = args as [string, string];
  const difference = diff(readSnapshot(before), read(after));
  showDiff(difference, options, out);
  out.document(diffRecord(difference));
  return Exit.ok;
}

export const diffCommand: CommandModule = {
  configure,
  modes: ['json', 'plain'],
  examples: [
    ['memmap diff before.json after.json', ''],
    ['memmap diff before.json 4711', 'since the snapshot of 4711'],
  ],
  run,
};
