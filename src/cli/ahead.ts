/**
 * What a command line is sure to ask for, begun before the rest of the program is loaded: `memmap
 * maps PID` spends as long in the kernel as in loading.
 */

/** Command lines with one of these ask for something else, or look at another time. */
const others = ['--cheap', '--diff', '--help', '-h', '--'];

/** A number that is surely no option's value; not all that are none. */
function processIn(args: readonly string[]): number | null {
  const found = args.find(
    (argument, i) => /^[1-9]\d{0,6}$/.test(argument) && !args[i - 1]?.startsWith('-'),
  );
  return found === undefined ? null : Number(found);
}

export async function beginAhead([command, ...args]: readonly string[]): Promise<void> {
  if (
    command !== 'maps' ||
    args.some((argument) => others.includes(argument.split('=')[0] ?? ''))
  ) {
    return;
  }
  const pid = processIn(args);
  if (pid === null) return;
  try {
    (await import('../inspect/ahead.ts')).readAhead(pid);
  } catch {
    // Without an addon there is nothing to begin; the command says so itself.
  }
}
