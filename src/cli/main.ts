#!/usr/bin/env node
/**
 * The `memmap` command.
 */
import { beginAhead } from './ahead.ts';
import { Exit } from './exit.ts';

/** What the command itself does not tell: that it cannot be loaded, and what nobody foresaw. */
function tellCrash(error: unknown): number {
  const { code, message, hint, stack } = error as Error & { code?: string; hint?: string };
  if (code === 'ERR_MEMMAP_UNSUPPORTED') {
    process.stderr.write(`memmap: ${message}\n${hint ? `hint: ${hint}\n` : ''}`);
    return Exit.unsupported;
  }
  const told = stack ?? message ?? String(error);
  process.stderr.write(`memmap: a mistake of memmap itself, please report it: ${told}\n`);
  return Exit.trouble;
}

const args = process.argv.slice(2);
await beginAhead(args);
try {
  const [{ runProgram }, { outliveReaders }] = await Promise.all([
    import('./program.ts'),
    import('./screen.ts'),
  ]);
  outliveReaders();
  process.exitCode = await runProgram(args);
} catch (error) {
  process.exitCode = tellCrash(error);
}
