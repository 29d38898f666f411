/**
 * `memmap completion`: what a shell needs to complete command lines.
 */
import type { Command } from 'commander';
import {
  type CommandEntry,
  type CommandModule,
  describeCommand,
  type Invocation,
} from '../command.ts';
import { usage } from '../errors.ts';
import { Exit } from '../exit.ts';

interface Described {
  name: string;
  summary: string;
  /** What its arguments may be; empty: files. */
  words: readonly string[];
  options: { flags: string[]; choices: readonly string[]; description: string }[];
}

function configure(command: Command): void {
  command
    .argument('<shell>', 'bash, zsh or fish')
    .description('Prints the completion of this command for a shell.');
}

async function describeAll(commands: readonly CommandEntry[]): Promise<Described[]> {
  const described = commands.map(async (entry) => {
    const module = await entry.load();
    const command = describeCommand(entry.name, entry.summary, module);
    const options = command.options.map(({ short, long, argChoices, description }) => ({
      flags: [short, long].filter((flag) => flag != null),
      choices: argChoices ?? [],
      description,
    }));
    return { name: entry.name, summary: entry.summary, words: module.completes ?? [], options };
  });
  return [...(await Promise.all(described)), helpOf(commands)];
}

/** The one command that is not in the table. */
function helpOf(commands: readonly CommandEntry[]): Described {
  const words = commands.map(({ name }) => name);
  return { name: 'help', summary: 'the help of a command', words, options: [] };
}

const flagsOf = ({ options }: Described) => [...options.flatMap(({ flags }) => flags), '--help'];

function bash(all: readonly Described[]): string {
  const cases = all.map((one) => `      ${one.name}) words="${flagsOf(one).join(' ')}" ;;`);
  const words = all
    .filter((one) => one.words.length > 0)
    .map((one) => `      ${one.name}) words="${one.words.join(' ')}" ;;`);
  const choices = all.flatMap(({ name, options }) =>
    options
      .filter((option) => option.choices.length > 0)
      .map((option) => {
        const patterns = option.flags.map((flag) => `${name}:${flag}`).join('|');
        return `    ${patterns}) words="${option.choices.join(' ')}" ;;`;
      }),
  );
  return `# memmap completion for bash: eval "$(memmap completion bash)"
_memmap() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  local command=\${COMP_WORDS[1]} words= i
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W "${all.map(({ name }) => name).join(' ')}" -- "$current"))
    return
  fi
  for ((i = 2; i < COMP_CWORD; i++)); do
    [[ \${COMP_WORDS[i]} == -- ]] && { compopt -o default 2>/dev/null; return; }
  done
  # bash takes --color=never for three words
  [[ $previous == = ]] && previous=\${COMP_WORDS[COMP_CWORD-2]}
  [[ $current == = ]] && current=
  case $command:$previous in
${choices.join('\n')}
  esac
  if [[ -z $words && $current == -* ]]; then
    case $command in
${cases.join('\n')}
    esac
  elif [[ -z $words ]]; then
    case $command in
${words.join('\n')}
    esac
  fi
  if [[ -n $words ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  else
    compopt -o default 2>/dev/null
  fi
}
complete -F _memmap memmap`;
}

/** Text between single quotes. */
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

function zsh(all: readonly Described[]): string {
  const names = all.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}`);
  const cases = all.map(({ name, words, options }) => {
    const specs = options.flatMap(({ flags, choices, description }) =>
      flags.map((flag) => {
        const values = choices.length > 0 ? `:value:(${choices.join(' ')})` : '';
        return quoted(`${flag}[${description.replace(/[[\]:]/g, ' ')}]${values}`);
      }),
    );
    const rest = words.length > 0 ? `'*:word:(${words.join(' ')})'` : "'*:file:_files'";
    return `    ${name}) _arguments -S ${[...specs, rest].join(' ')} ;;`; // -S: none behind --
  });
  return `#compdef memmap
# memmap completion for zsh: eval "$(memmap completion zsh)"
_memmap() {
  local -a commands
  commands=(
${names.join('\n')}
  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
${cases.join('\n')}
  esac
}
compdef _memmap memmap`;
}

function fish(all: readonly Described[]): string {
  const seen = (name: string) => `'__fish_seen_subcommand_from ${name}'`;
  const lines = all.flatMap(({ name, summary, words, options }) => [
    `complete -c memmap -f -n __fish_use_subcommand -a ${name} -d ${quoted(summary)}`,
    ...(words.length > 0
      ? [`complete -c memmap -f -n ${seen(name)} -a ${quoted(words.join(' '))}`]
      : []),
    ...options.map(({ flags, choices, description }) => {
      const given = flags.map((flag) =>
        flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`,
      );
      const values = choices.length > 0 ? ` -x -a ${quoted(choices.join(' '))}` : '';
      return `complete -c memmap -n ${seen(name)} ${given.join(' ')}${values} -d ${quoted(description)}`;
    }),
  ]);
  return `# memmap completion for fish: memmap completion fish | source\n${lines.join('\n')}`;
}

const shells: Record<string, (all: readonly Described[]) => string> = { bash, zsh, fish };

/** The command, for a table of commands that has it in it. */
export function completionOf(commands: readonly CommandEntry[]): CommandModule {
  return {
    configure,
    completes: Object.keys(shells),
    examples: [
      ['eval "$(memmap completion bash)"', 'in ~/.bashrc'],
      ['memmap completion fish | source', 'in config.fish'],
    ],
    async run({ args, out }: Invocation) {
      const name = args[0] as string;
      const shell = Object.hasOwn(shells, name) ? shells[name] : undefined;
      if (!shell) throw usage(`${name} is not one of bash, zsh, fish`);
      out.raw(shell(await describeAll(commands)));
      return Exit.ok;
    },
  };
}
