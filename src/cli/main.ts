#!/usr/bin/env node
/**
 * The `memmap` command.
 */
import { beginAhead } from './ahead.ts';
import { Exit, exitCodeOf } from './exit.ts';

const args = process.argv.slice(2);
await beginAhead(args);
try {
  const [{ runProgram, tellCrash }, { endWithReader }] = await Promise.all([
    import('./program.ts'),
    import('./screen.ts'),
  ]);
  endWithReader();
  process.exitCode = await runProgram(args).catch((error) => {
    tellCrash(error);
    return Exit.trouble;
  });
} catch (error) {
  // A part of the command could not be loaded.
  const { message, hint } = error as { message?: string; hint?: string };
  process.stderr.write(`memmap: ${message ?? error}\n${hint ? `hint: ${hint}\n` : ''}`);
  process.exitCode = exitCodeOf((error as { code?: string }).code ?? '');
}
