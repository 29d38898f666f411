/**
 * From the command line to a command and back to an exit code.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import {
  type CommandEntry,
  type CommandModule,
  describeCommand,
  type Invocation,
  outputOf,
} from './command.ts';
import { commands } from './commands/index.ts';
import { exitCodeFor } from './errors.ts';
import { asTool, Exit } from './exit.ts';
import type { Output } from './output.ts';
import { setLossCode } from './screen.ts';

const about = `Memory mapping seen from outside: files in the page cache, address spaces of processes,
pages, limits. Works without privileges; what the kernel hides is shown as '?', never guessed.`;

const examples = `
Examples:
  memmap cache data.bin          how much of it is in memory, and where
  memmap maps 4711               where the memory of process 4711 goes
  memmap doctor data.bin         what will go wrong when it is mapped
  memmap explain ENODEV mmap     what an error means

Exit codes: 0 yes, 1 an honest no, 2 wrong command line or input, 3 not permitted, 4 not in this
kernel, 130 interrupted (SIGTERM 143, SIGHUP 129); watch and lock with a command: its own, or 125,
126, 127.
'memmap COMMAND --help' tells the rest.`;

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

function makeProgram(): Command {
  return new Command('memmap')
    .description(about.replaceAll('\n', ' '))
    .configureHelp({ helpWidth: 100, subcommandTerm: (command) => command.name() })
    .usage('COMMAND [options]')
    .version(version(), '-V, --version', 'the version')
    .helpOption('-h, --help', 'this text')
    .helpCommand('help [command]', 'the help of a command')
    .addHelpText('after', examples)
    .showSuggestionAfterError()
    .enablePositionalOptions();
}

/** Takes the command of the user apart from that of another program behind `--`. */
function splitChild(args: readonly string[]): [string[], string[] | null] {
  const at = args.indexOf('--');
  return at < 0 ? [[...args], null] : [args.slice(0, at), args.slice(at + 1)];
}

/** `--watch` for `--watch=1`: commander would take the next argument for its value. */
function fillBare(args: string[], bare: Readonly<Record<string, string>>): string[] {
  const end = args.indexOf('--');
  return args.map((argument, i) => {
    const value = Object.hasOwn(bare, argument) ? bare[argument] : undefined;
    return value === undefined || (end >= 0 && i > end) ? argument : `${argument}=${value}`;
  });
}

type Run = () => Promise<number>;

/** What a command line asks for, once commander has read it. */
interface Request {
  child: readonly string[] | null;
  /** The exit code of a failure, from that of its kind. */
  failed(exitCode: number): number;
  run?: Run;
}

function add(program: Command, entry: CommandEntry, module: CommandModule, request: Request): void {
  const command = describeCommand(entry.name, entry.summary, module);
  command.action(() => {
    const options = command.opts();
    const out = outputOf(entry.name, options);
    const invocation = { args: command.args, options, child: request.child, out };
    const work = () => module.run(invocation as unknown as Invocation<never>);
    request.run = () => runSafely(work, out, entry.name, request);
  });
  complainAs(command, `memmap ${entry.name}`);
  program.addCommand(command);
}

async function runSafely(
  work: () => number | Promise<number>,
  out: Output,
  name: string,
  { failed }: Request,
): Promise<number> {
  try {
    return await work();
  } catch (error) {
    const kind = exitCodeFor(error);
    if (kind === null) throw error;
    out.status('');
    tellFailure(out, error, name, failed(kind));
    return failed(kind);
  }
}

function tellFailure(out: Output, error: unknown, command: string, exitCode: number): void {
  const described = out.error(error);
  out.document({ command, error: described, exitCode }, 'error');
}

/** A command line that cannot be, for a program that asked for documents. */
function documentComplaint(
  command: string,
  own: readonly string[],
  error: CommanderError,
  exitCode: number,
): void {
  const end = own.indexOf('--');
  const options = end < 0 ? own : own.slice(0, end);
  const [json, ndjson] = [options.includes('--json'), options.includes('--ndjson')];
  if (options.includes('--plain')) return;
  const described = {
    code: null,
    message: error.message.replace(/^error: /, ''),
    hint: `memmap ${command} --help`,
  };
  const body = { command, error: described, exitCode };
  outputOf(command, { json, ndjson }).document(body, 'error');
}

/** Writes commander's complaints as ours. */
function complainAs(command: Command, name: string): void {
  command.exitOverride().configureOutput({
    outputError(text, write) {
      write(text.replace(/^error: /, `${name}: `));
      write(`hint: ${name} --help\n`);
    },
  });
}

/**
 * Runs a command line.
 * @returns The exit code.
 */
export async function runProgram(args: readonly string[]): Promise<number> {
  const program = makeProgram();
  complainAs(program, 'memmap');
  const name = args[0] === 'help' ? args[1] : args[0];
  const called = commands.find((entry) => entry.name === name);
  const wanted = called ? [called] : commands;
  const modules = await Promise.all(wanted.map((entry) => entry.load()));
  const [module] = modules;
  if (called && module?.passesThrough && args[0] !== 'help') {
    return module.run({ args: args.slice(1) } as unknown as Invocation<never>);
  }
  const [own, child] = module?.takesChild && called ? splitChild(args) : [[...args], null];
  const isPassed = child !== null && module?.passesStatus === true;
  if (isPassed) setLossCode(Exit.toolFailed);
  const request: Request = { child, failed: (kind) => (isPassed ? asTool(kind) : kind) };
  for (const [i, entry] of wanted.entries()) {
    add(program, entry, modules[i] as CommandModule, request);
  }
  const filled = called && module?.bare ? fillBare(own, module.bare) : own;
  try {
    await program.parseAsync(filled.length > 0 ? filled : ['--help'], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return Exit.ok;
    const exitCode = request.failed(Exit.trouble);
    if (called) documentComplaint(called.name, own, error, exitCode);
    return exitCode;
  }
  return request.run ? request.run() : Exit.ok;
}
