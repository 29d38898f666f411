import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { pageSize } from 'memmap';
import { memmap, memmapJson } from '../support/command.ts';
import { asNobody, lacksCommand, lacksKernel, lacksRoot, needs } from '../support/machine.ts';
import { temporaryFile } from '../support/temporary.ts';

interface Document {
  by: string;
  mappings: {
    name: string | null;
    same: number;
    split: number;
    onlyLeft: number;
    onlyRight: number;
    neither: number;
    pages: string | null;
    start: string;
  }[];
  total: { same: number; split: number };
}

const children: ChildProcess[] = [];
after(() => {
  for (const child of children) child.kill('SIGKILL');
});

/** A process and its fork: 64 private pages of which the child stores to 16, and a file. */
const forking = `
import ctypes, mmap, os, signal, sys
size = ${pageSize}
anonymous = mmap.mmap(-1, 64 * size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
anonymous.write(b'x' * 64 * size)
file = open(sys.argv[1], 'rb')
shared = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
for page in range(16): shared[page * size]
address = ctypes.addressof(ctypes.c_char.from_buffer(anonymous))
child = os.fork()
if child == 0:
    libc = ctypes.CDLL(None)
    libc.prctl(1, signal.SIGKILL)
    for page in range(16): anonymous[page * size] = 1
    print(os.getppid(), os.getpid(), hex(address), flush=True)
signal.pause()
`;

async function fork(): Promise<[string, string, string]> {
  const args = ['-c', forking, temporaryFile(16 * pageSize)];
  const child = spawn('python3', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  return new Promise((resolve, reject) => {
    createInterface(child.stdout).once('line', (line) => resolve(line.split(' ') as never));
    child.once('exit', (code) => reject(new Error(`it ended with ${code}`)));
  });
}
const python = lacksCommand('python3');

test(
  'what was stored to after a fork is split, the rest is the same',
  needs(python, lacksKernel, lacksRoot),
  async () => {
    const [left, right, address] = await fork();
    const args = ['compare', '--map', left, right];
    const { code, document, stderr } = await memmapJson<Document>(args);
    assert.deepEqual([code, document.by], [0, 'frame'], stderr);
    // The kernel may have put the mapping together with a neighbour.
    const at = BigInt(address);
    const mapping = document.mappings.filter(({ start }) => BigInt(start) <= at).at(-1);
    assert.ok((mapping?.split ?? 0) >= 16 && (mapping?.same ?? 0) >= 48, JSON.stringify(mapping));
    const first = Number((at - BigInt(mapping?.start ?? 0)) / BigInt(pageSize));
    const picture = mapping?.pages?.slice(first, first + 64);
    assert.equal(picture, '|'.repeat(16) + '='.repeat(48));
  },
);

test(
  'pages of a file are not copied by fork: only left, until they are touched',
  needs(python, lacksKernel, lacksRoot),
  async () => {
    const [left, right] = await fork();
    const { document } = await memmapJson<Document>(['compare', left, right]);
    const file = document.mappings.find(({ name }) => name?.includes('memmap-test-'));
    assert.deepEqual([file?.onlyLeft, file?.split, file?.onlyRight], [16, 0, 0]);
    const { stdout } = await memmap(['compare', left, right]);
    assert.match(stdout, /mappings alike: \S+ the same, \S+ copied/);
  },
);

/** A shell and a part of it, which is a fork without another program. */
async function forkShell(prefix: string[]): Promise<[string, string]> {
  const script = '(while :; do sleep 1; done) & echo $$ $!; wait';
  const [file, ...args] = [...prefix, 'sh', '-c', script];
  const child = spawn(file as string, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  process.once('exit', () => process.kill(-(child.pid as number), 'SIGKILL'));
  return new Promise((resolve, reject) => {
    createInterface(child.stdout).once('line', (line) => resolve(line.split(' ') as never));
    child.once('exit', (code) => reject(new Error(`it ended with ${code}`)));
    child.unref();
    (child.stdout as unknown as { unref(): void }).unref();
  });
}

test(
  'without privileges: by what is mapped alone, and it says so',
  needs(lacksKernel, lacksRoot),
  async () => {
    const [left, right] = await forkShell(asNobody);
    const prefix = asNobody;
    const args = ['compare', left, right];
    const { code, document, stderr } = await memmapJson<Document>(args, { prefix });
    assert.deepEqual([code, document.by], [0, 'exclusive']);
    assert.match(stderr, /frames are hidden/);
    assert.ok(document.total.same > 0);
    const others = await memmap(['compare', left, String(process.pid)], { prefix });
    assert.equal(others.code, 3);
  },
);

test('one process is not two', async () => {
  const own = String(process.pid);
  assert.equal((await memmap(['compare', own, own])).code, 2);
});
