/**
 * A rival written in C, compiled here, that answers commands on its standard input.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

export interface Rival {
  ask(command: string): Promise<number[]>;
  end(): void;
}

/** Compiles bench/rivals/NAME.c with -O2 and starts it. */
export function startRival(name: string): Rival {
  const directory = `${root}build/bench/rivals`;
  mkdirSync(directory, { recursive: true });
  const program = `${directory}/${name}`;
  execFileSync('gcc', ['-O2', '-o', program, `${root}bench/rivals/${name}.c`]);
  const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  return {
    async ask(command) {
      child.stdin.write(`${command}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error(`The rival ${name} ended at: ${command}`);
      return String(value).split(' ').map(Number);
    },
    end: () => child.stdin.end(),
  };
}
