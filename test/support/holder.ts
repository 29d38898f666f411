/**
 * Processes that keep a file mapped.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { moduleWords } from './child.ts';
import { until } from './fault.ts';

const children: ChildProcess[] = [];
process.on('exit', endHolders);

/** Ends all of them; what holds a test open otherwise. */
export function endHolders(): void {
  for (const child of children.splice(0)) child.kill('SIGKILL');
}

/**
 * A process that maps a file, touches `pages` of it and stays until the tests are over. It is
 * stopped: a runtime's other threads map and unmap memory of their own, and two looks at a running
 * process differ by that. `SIGCONT` lets it run.
 * @param setup Code that runs before it is ready; it has `mapping`.
 * @returns Its number.
 */
export async function holderOf(path: string, pages: number, setup = ''): Promise<number> {
  const source = `
    import { map, pageSize } from 'memmap';
    const mapping = map(${JSON.stringify(path)});
    for (let page = 0; page < ${pages}; page++) mapping.read(Buffer.alloc(1), page * pageSize);
    ${setup}
    console.log('ready');
    setInterval(() => mapping.byteLength, 1000);`;
  const [command, ...words] = moduleWords(source) as [string, ...string[]];
  const child = spawn(command, words, {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`the holder ended with ${code}`)));
  });
  const pid = child.pid as number;
  child.kill('SIGSTOP');
  await until(() => threadStates(pid).every((state) => state === 'T'));
  return pid;
}

/** Of each thread, by proc(5) the third field of stat, behind a name that may hold anything. */
function threadStates(pid: number): string[] {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).map((task) => {
    try {
      const stat = readFileSync(`${tasks}/${task}/stat`, 'latin1');
      return stat.charAt(stat.lastIndexOf(')') + 2);
    } catch {
      return 'gone'; // it ended between the two looks
    }
  });
}
