#!/usr/bin/env node
/**
 * The `memmap` command.
 */
import { beginAhead } from './ahead.ts';

const args = process.argv.slice(2);
beginAhead(args);
const [{ Exit }, { runProgram, tellCrash }, { endWithReader }] = await Promise.all([
  import('./exit.ts'),
  import('./program.ts'),
  import('./screen.ts'),
]);
endWithReader();
try {
  process.exitCode = await runProgram(args);
} catch (error) {
  tellCrash(error);
  process.exitCode = Exit.trouble;
}
