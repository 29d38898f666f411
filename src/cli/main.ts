#!/usr/bin/env node
/**
 * The `memmap` command.
 */
import { Exit } from './exit.ts';
import { runProgram, tellCrash } from './program.ts';
import { endWithReader } from './screen.ts';

endWithReader();
try {
  process.exitCode = await runProgram(process.argv.slice(2));
} catch (error) {
  tellCrash(error);
  process.exitCode = Exit.trouble;
}
