/**
 * `memmap doctor`: limits and obstacles, with what to do about them.
 */
import { type Command, InvalidArgumentError } from 'commander';
import { type Check, type CheckStatus, diagnose, type Needs } from '../../inspect/index.ts';
import type { CommandModule, Invocation } from '../command.ts';
import { Exit } from '../exit.ts';
import { isThere } from '../files.ts';
import { printable, type Style, wrap } from '../format.ts';
import type { Output } from '../output.ts';
import { processOf } from '../processes.ts';
import { parseCount, parseSize } from '../size.ts';

interface DoctorOptions {
  need?: Needs;
  fixScript?: boolean;
}

const needs: Record<keyof Needs, (text: string) => number> = {
  lock: parseSize,
  map: parseSize,
  maps: parseCount,
  huge: parseSize,
};

function parseNeeds(text: string, before: Needs = {}): Needs {
  const found: Record<string, number | undefined> = { ...before };
  for (const part of text.split(',')) {
    const [, name = '', value = ''] = /^(\w+)=(.+)$/.exec(part) ?? [];
    if (!Object.hasOwn(needs, name)) {
      throw new InvalidArgumentError(
        `'${part}' is not one of lock=SIZE, map=SIZE, maps=N, huge=SIZE.`,
      );
    }
    found[name] = needs[name as keyof Needs](value);
  }
  return found;
}

function configure(command: Command): void {
  command
    .argument('[target]', 'a file, or the number of a process')
    .description(
      `Looks at everything that memory mapping depends on: limits, memory, the kernel, and a file or a
process. Says what it means and what to do. Exit 1 when something that is needed cannot be had.`,
    )
    .option('--need <what>', 'lock=1G,map=2T,maps=100k,huge=512M: checked against', parseNeeds)
    .option('--fix-script', 'the cures as a shell script; reads, changes nothing');
}

const verdicts: Record<CheckStatus, [word: string, style: Style]> = {
  ok: ['OK', 'green'],
  warn: ['WARN', 'yellow'],
  fail: ['FAIL', 'red'],
  skip: ['SKIP', 'dim'],
};

const titles: Record<Check['group'], string> = {
  limits: 'Limits of the process',
  memory: 'Memory of the machine',
  kernel: 'What the kernel shows and does',
  file: 'The file',
  process: 'The process',
};

const verdictWidth = 6;

function show(checks: readonly Check[], out: Output): void {
  let group: string | undefined;
  for (const check of checks) {
    if (check.group !== group)
      out.text(...(group ? [''] : []), out.paint('bold', titles[check.group]));
    group = check.group;
    out.text(...linesOf(check, out));
  }
}

function linesOf({ status, name, value, why, cure, needsRoot }: Check, out: Output): string[] {
  const [word, style] = verdicts[status];
  const said = [`${name}: ${value}`, why].filter((text) => text !== '').join(' - ');
  const width = Math.min(100, out.width) - verdictWidth;
  const pad = ' '.repeat(verdictWidth);
  const head = out.paint(style, word) + ' '.repeat(verdictWidth - word.length);
  const lines = wrap(printable(said), width).map((line, i) => (i === 0 ? head : pad) + line);
  if (cure === null || status === 'ok') return lines;
  const text = `-> ${cure}${needsRoot ? ' (root)' : ''}`;
  return [...lines, ...wrap(printable(text), width).map((line) => pad + out.paint('cyan', line))];
}

/** Cures that are a command as they stand; all others are remarks. */
const commandForm =
  /^(sysctl -w vm\.\w+=\d+|echo \w+ > \/sys\/[\w/.-]+|mount -t tracefs none \/sys\/kernel\/tracing|ulimit -\w (\d+|unlimited))$/;

function fixScript(checks: readonly Check[], out: Output): void {
  const lines = checks
    .filter(({ status, cure }) => status !== 'ok' && cure !== null)
    .flatMap(({ name, value, cure, needsRoot }) => {
      const text = cure as string;
      const head = printable(`# ${name}: ${value}${needsRoot ? ' (root)' : ''}`);
      return ['', head, commandForm.test(text) ? text : `# ${printable(text)}`];
    });
  const nothing = ['', '# There is nothing to do.'];
  out.raw('#!/bin/sh', '# What memmap doctor advises. Read it before you run it.', 'set -eu');
  out.raw(...(lines.length > 0 ? lines : nothing));
}

function summary(checks: readonly Check[], out: Output): void {
  const count = (status: CheckStatus) => checks.filter((check) => check.status === status).length;
  const [fails, warnings] = [count('fail'), count('warn')];
  const text = `${checks.length} checks: ${fails} failed, ${warnings} warnings, ${count('skip')} unknown`;
  out.text('', out.paint(fails > 0 ? 'red' : 'bold', text));
  const [first] = checks.filter(
    ({ status, why }) => status === 'fail' && /\bE[A-Z]{3,}\b/.test(why),
  );
  const code = /\bE[A-Z]{3,}\b/.exec(first?.why ?? '')?.[0];
  if (code) out.hint(`memmap explain ${code}  tells more`);
}

function plain(checks: readonly Check[], out: Output): void {
  if (out.mode !== 'plain') return;
  for (const { status, group, name, value, why, cure } of checks) {
    out.raw([status, group, name, value, why, cure ?? ''].map(printable).join('\t'));
  }
}

function targetOf(text: string | undefined): string | number | undefined {
  if (text === undefined || !/^\d+$/.test(text) || isThere(text)) return text;
  return processOf(text);
}

function run({ args, options, out }: Invocation<DoctorOptions>): number {
  const target = targetOf(args[0]);
  const checks = diagnose(target, options.need ?? {});
  if (options.fixScript) fixScript(checks, out);
  else {
    show(checks, out);
    if (out.mode === 'text') summary(checks, out);
    plain(checks, out);
    out.document({ target: target ?? null, needs: options.need ?? {}, checks });
  }
  return checks.some(({ status }) => status === 'fail') ? Exit.no : Exit.ok;
}

export const doctor: CommandModule = {
  configure,
  modes: ['json', 'plain'],
  examples: [
    ['memmap doctor', 'the machine'],
    [
      'memmap doctor data.bin --need lock=64M,huge=16M',
      'a file, and what is going to be asked for',
    ],
    ['memmap doctor 4711', 'a process'],
    ['memmap doctor --need maps=1M --fix-script', 'the cures as a script'],
  ],
  run,
};
