/**
 * What a command is, and how its command line becomes a call of it.
 */
import { Command, Option } from 'commander';
import { type ColorChoice, colorChoices } from './format.ts';
import { type Mode, Output } from './output.ts';

/** What a command is called with. */
export interface Invocation<Options = Record<string, unknown>> {
  readonly args: readonly string[];
  readonly options: Options;
  /** What stands behind `--`, for commands that run another; `null`: there is none. */
  readonly child: readonly string[] | null;
  readonly out: Output;
}

/** A command, in a module of its own that is loaded when it is called. */
export interface CommandModule {
  /** Arguments, options and a description in a few lines. */
  configure(command: Command): void;
  /** Command lines and what they are for. */
  readonly examples: readonly (readonly [line: string, purpose: string])[];
  /** Forms of output besides text; the first of them is that of `--json`. */
  readonly modes?: readonly Exclude<Mode, 'text'>[];
  /** What stands behind `--` is a command. */
  readonly takesChild?: boolean;
  /** The exit code is that of this command; where memmap itself fails, 125. */
  readonly passesStatus?: boolean;
  /** Draws bars or maps. */
  readonly draws?: boolean;
  /** Options whose value may be left out; it is given with `=` only. */
  readonly bare?: Readonly<Record<string, string>>;
  /** Words that its arguments may be, for a shell to complete; without them they are files. */
  readonly completes?: readonly string[];
  /** Everything behind the name goes to `run` as it is. */
  readonly passesThrough?: boolean;
  /** @returns The exit code. */
  run(invocation: Invocation<never>): number | Promise<number>;
}

/** A command in the table of all. */
export interface CommandEntry {
  readonly name: string;
  /** The question that it answers. */
  readonly summary: string;
  load(): Promise<CommandModule>;
}

const modeHelp: Record<Exclude<Mode, 'text'>, string> = {
  json: 'one JSON document; unknown is null, sizes are bytes',
  ndjson: 'a JSON document a line, as it happens',
  plain: 'a record a line, fields between tabs, sizes in bytes',
};

interface CommonOptions {
  json?: boolean;
  ndjson?: boolean;
  plain?: boolean;
  color?: ColorChoice;
  ascii?: boolean;
  quiet?: boolean;
  verbose?: boolean;
}

/** Adds what is alike in all commands, and the examples to the help. */
function addCommon(command: Command, module: CommandModule): void {
  for (const mode of module.modes ?? []) {
    const others = (module.modes ?? []).filter((other) => other !== mode);
    command.addOption(new Option(`--${mode}`, modeHelp[mode]).conflicts(others));
  }
  if (module.draws) command.option('--ascii', 'draw with ASCII characters only');
  command
    .addOption(choice('--color <when>', 'colours', colorChoices).default('auto'))
    .option('-q, --quiet', 'no hints and no remarks, only errors')
    .option('-v, --verbose', 'say more on stderr');
  command.helpOption('-h, --help', 'this text').configureHelp({ helpWidth: 100 });
  const width = Math.max(...module.examples.map(([line]) => line.length));
  const lines = module.examples.map(([line, purpose]) => `  ${line.padEnd(width)}  ${purpose}`);
  command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
}

/** A command as commander knows it. */
export function describeCommand(name: string, summary: string, module: CommandModule): Command {
  const command = new Command(name).summary(summary);
  module.configure(command);
  addCommon(command, module);
  return command.description(command.description().replaceAll('\n', ' '));
}

/** The output that the options ask for. */
export function outputOf(name: string, options: CommonOptions): Output {
  const mode = options.json ? 'json' : options.ndjson ? 'ndjson' : options.plain ? 'plain' : 'text';
  return new Output({
    command: name,
    mode,
    color: options.color ?? 'auto',
    ascii: options.ascii ?? false,
    quiet: options.quiet ?? false,
    verbose: options.verbose ?? false,
  });
}

/** A parser for an option that may be given several times, and takes several between commas. */
export function list<T>(parse: (text: string) => T): (text: string, before?: T[]) => T[] {
  return (text, before = []) => [...before, ...text.split(',').map(parse)];
}

/** An option that takes one of some words. */
export function choice(flags: string, description: string, words: readonly string[]): Option {
  return new Option(flags, description).choices(words);
}
