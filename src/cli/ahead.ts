/**
 * What a command line is sure to ask for, begun before the rest of the program is loaded: `memmap
 * maps PID` spends as long in the kernel as in loading.
 */
import { readAhead } from '../inspect/ahead.ts';

/** A number that is no option's value, as far as that can be told without knowing the options. */
function processIn(args: readonly string[]): number | null {
  const own = args.includes('--') ? args.slice(0, args.indexOf('--')) : args;
  const found = own.find(
    (argument, i) => /^[1-9]\d{0,6}$/.test(argument) && !own[i - 1]?.startsWith('-'),
  );
  return found === undefined ? null : Number(found);
}

export function beginAhead([command, ...args]: readonly string[]): void {
  if (command !== 'maps' || args.includes('--cheap')) return;
  const pid = processIn(args);
  if (pid !== null) readAhead(pid);
}
