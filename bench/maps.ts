/**
 * What a look at a process with 10,000 mappings costs: the library and the command against pmap -x.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { addressSpace } from 'memmap/inspect';
import { expectEqual, milliseconds, report } from './measure.ts';

const wanted = 10_000;
const command = fileURLToPath(import.meta.resolve('#dist/cli/main.js'));

/** Anonymous memory of which every second page may not be used: each change makes two mappings more. */
const subject = `
  import { anonymous, pageSize } from 'memmap';
  const memory = anonymous(${wanted} * pageSize);
  memory.bytes.fill(1);
  for (let page = 1; page < ${wanted}; page += 2) {
    memory.protect('read', { offset: page * pageSize, length: pageSize });
  }
  console.log('ready');
  setInterval(() => memory.byteLength, 1000);`;

async function startSubject(): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', subject], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve, reject) => {
    createInterface(child.stdout).once('line', resolve);
    child.once('exit', (code) => reject(new Error(`the subject ended with ${code}`)));
  });
  return child;
}

/** With NODE_EXTRA_CA_CERTS Node 20 reads certificates (40 ms) before anything else. */
const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;

function output(file: string, ...args: string[]): string {
  const { stdout, error, status } = spawnSync(file, args, {
    encoding: 'utf8',
    env,
    maxBuffer: 2 ** 28,
  });
  if (error) throw error;
  expectEqual(status, 0, `the exit code of ${file}`);
  return stdout;
}

/** The sum that pmap prints; it leaves out the page of vsyscall, which is no memory of a process. */
function residentOf(pmap: string): number {
  return Number(/^total kB\s+\d+\s+(\d+)/m.exec(pmap)?.[1]) * 1024;
}

function checkAnswers(pid: string): void {
  const mappings = readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n').length - 1;
  if (mappings < wanted) throw new Error(`the subject has ${mappings} mappings only`);
  const { total } = addressSpace(Number(pid));
  expectEqual(total.maps, mappings, 'mappings by the library');
  expectEqual(total.resident, residentOf(output('pmap', '-x', pid)), 'resident bytes by pmap');
  const said = JSON.parse(output(process.execPath, command, 'maps', '--json', pid)) as {
    total: { maps: number; resident: number };
  };
  expectEqual(said.total.maps, mappings, 'mappings by the command');
  expectEqual(said.total.resident, total.resident, 'resident bytes by the command');
  console.log(`  ${mappings} mappings, ${total.resident} bytes resident: all three agree`);
}

/** The benchmark; it needs pmap (procps). */
export async function run(_directory: string, rounds: number): Promise<void> {
  const child = await startSubject();
  const pid = String(child.pid);
  const timed = (name: string, work: () => void) => ({ name, run: () => milliseconds(work) });
  try {
    checkAnswers(pid);
    await report(
      {
        work: `a process with ${wanted} mappings`,
        unit: 'ms',
        limit: 'each of ours less than twice pmap -x',
        contenders: [
          timed('pmap -x', () => output('pmap', '-x', pid)),
          timed('addressSpace(pid)', () => addressSpace(Number(pid))),
          timed('memmap maps', () => output(process.execPath, command, 'maps', pid)),
          timed('memmap maps --group none', () => {
            output(process.execPath, command, 'maps', '--group', 'none', pid);
          }),
          timed('node -e 0 (its start alone)', () => output(process.execPath, '-e', '0')),
        ],
      },
      rounds,
    );
  } finally {
    child.kill('SIGKILL');
  }
}
