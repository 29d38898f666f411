import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, linkSync, readFileSync, symlinkSync, unlinkSync } from 'node:fs';
import { after, test } from 'node:test';
import { pageSize } from 'memmap';
import { memmap, memmapJson, writtenFile } from '../support/command.ts';
import { until } from '../support/fault.ts';
import { endHolders, holderOf } from '../support/holder.ts';
import { asNobody, lacksKernel, lacksRoot, needs } from '../support/machine.ts';
import { temporaryFile, temporaryPath } from '../support/temporary.ts';

after(endHolders);

interface Document {
  address: string;
  frame: string | null;
  physicalAddress: string | null;
  mapcount: number | null;
  fileOffset: string | null;
  walk: { indexes: { name: string; index: number; shift: number }[]; offset: number } | null;
  entry: { present: boolean; exclusive: boolean } | null;
  flags: { name: string }[] | null;
  mapping: { name: string; permissions: string } | null;
  compare: { verdict: string; frame: string | null } | null;
}

/** A process that has ended, and whose parent does not ask for it. */
async function zombie(): Promise<number> {
  const script = 'sleep 0.01 & echo $!; exec sleep 100';
  const parent = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  after(() => parent.kill('SIGKILL'));
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(String(line));
  await until(() => /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1')));
  return pid;
}

async function mappedFile(pages: number, touched: number): Promise<[string, number, bigint]> {
  const path = writtenFile(pages * pageSize);
  const pid = await holderOf(path, touched);
  const line = readFileSync(`/proc/${pid}/maps`, 'utf8')
    .split('\n')
    .find((l) => l.endsWith(path));
  return [path, pid, BigInt(`0x${line?.split('-')[0]}`)];
}

test('the indexes put together are the address', needs(lacksKernel), async () => {
  const [path, pid, start] = await mappedFile(4, 4);
  const address = start + 0x123n;
  const { document } = await memmapJson<Document>(['addr', String(pid), address.toString(16)]);
  assert.equal(BigInt(document.address), address);
  const { indexes, offset } = document.walk ?? { indexes: [], offset: -1 };
  const together = indexes.reduce(
    (sum, { index, shift }) => sum + (BigInt(index) << BigInt(shift)),
    0n,
  );
  assert.equal(together + BigInt(offset), address);
  assert.deepEqual([document.mapping?.name, document.mapping?.permissions], [path, 'r--s']);
  assert.equal(document.fileOffset, '0x123');
});

test('FILE:OFFSET is an address', needs(lacksKernel), async () => {
  const [path, pid, start] = await mappedFile(4, 4);
  const { document } = await memmapJson<Document>(['addr', String(pid), `${path}:4k`]);
  assert.equal(BigInt(document.address), start + 4096n);
  const [link, second] = [temporaryPath('link'), `${path}.hard`];
  symlinkSync(path, link);
  linkSync(path, second);
  for (const name of [link, second]) {
    const named = await memmapJson<Document>(['addr', String(pid), `${name}:4k`]);
    assert.equal(named.document.address, document.address, name);
  }
  const behind = await memmap(['addr', String(pid), `${path}:1M`]);
  assert.equal(behind.code, 1);
  assert.match(behind.stderr, /does not map byte 1048576 of .*\nhint: memmap maps/);
  for (const name of [path, second]) unlinkSync(name);
  const deleted = await memmapJson<Document>(['addr', String(pid), `${path}:4k`]);
  assert.equal(deleted.document.address, document.address, 'of a file that is deleted');
});

test(
  'the frame, its flags, and how often it is mapped',
  needs(lacksKernel, lacksRoot),
  async () => {
    const [path, pid] = await mappedFile(4, 4);
    const { code, document } = await memmapJson<Document>(['addr', String(pid), `${path}:1`]);
    assert.equal(code, 0);
    assert.equal(
      BigInt(document.physicalAddress ?? 0),
      BigInt(document.frame ?? 0) * BigInt(pageSize) + 1n,
    );
    assert.ok((document.mapcount ?? 0) >= 1);
    assert.ok(document.flags?.some(({ name }) => name === 'UPTODATE'));
  },
);

test('text: tables, entry, frame; --bits draws the address', needs(lacksKernel), async () => {
  const [path, pid] = await mappedFile(4, 4);
  const { stdout } = await memmap(['addr', '--bits', String(pid), `${path}:0`]);
  assert.match(stdout, /tables +0x[0-9a-f]+ {2}PGD\[\d+\].* PTE\[\d+\] \+0x0/);
  assert.match(stdout, /PTE 20-12 offset 11-0/);
  assert.match(stdout, /values of upper entries: not exposed by this kernel/);
  assert.match(stdout, /entry +0x[0-9a-f]+: present, of a file/);
});

test(
  '--compare: the same page of a file is the same frame',
  needs(lacksKernel, lacksRoot),
  async () => {
    const [path, pid] = await mappedFile(4, 4);
    const args = ['addr', '--compare', String(pid), String(pid), `${path}:0`];
    const { document } = await memmapJson<Document>(args);
    assert.equal(document.compare?.verdict, 'same');
  },
);

test('--range: each page', needs(lacksKernel), async () => {
  const [, pid, start] = await mappedFile(8, 8);
  const args = ['addr', '--range', String(3 * pageSize), String(pid), start.toString(16)];
  const { document } = await memmapJson<{ pages: { address: string; present: boolean }[] }>(args);
  assert.equal(document.pages.length, 3);
  assert.ok(document.pages.every(({ present }) => present));
});

test('nothing is mapped there: exit 1, with what is around', needs(lacksKernel), async () => {
  const pid = await holderOf(temporaryFile(1), 1);
  const { code, stdout, stderr } = await memmap(['addr', String(pid), '0x10']);
  assert.equal(code, 1);
  assert.match(stdout, /above: /);
  assert.match(stderr, /nothing is mapped at 0x10/);
});

const strange: [string, string, RegExp][] = [
  ['of the kernel', 'ffffffff81000000', /entry: the address belongs to the kernel/],
  ['with one upper bit', '8000000000000000', /entry: it is no address of a \d-level page table/],
  ['the last', 'ffffffffffffffff', /entry: the address belongs to the kernel/],
];
for (const [what, address, why] of strange) {
  test(`an address ${what} is nobody's: exit 1, and why`, needs(lacksKernel), async () => {
    const pid = String(process.pid);
    const { code, stdout, stderr } = await memmap(['addr', pid, address]);
    assert.equal(code, 1, stderr);
    assert.match(stderr, why);
    assert.match(stderr, new RegExp(`nothing is mapped at 0x${address}\n`));
    assert.doesNotMatch(stdout, /\?/);
    const range = await memmap(['addr', '--range', '16k', pid, address]);
    assert.deepEqual([range.code, range.stdout], [1, '']);
    assert.match(range.stderr, /nothing is mapped at 0x/);
  });
}

test(
  'the last page below the kernel is not mapped, which is no matter of rights',
  needs(lacksKernel, process.arch !== 'x64' && 'for addresses of x86-64'),
  async () => {
    for (const address of ['7ffffffff000', '800000000000', '7fffffffffffff']) {
      const { code, stderr } = await memmap(['addr', String(process.pid), address]);
      assert.equal(code, 1, stderr);
      assert.match(stderr, new RegExp(`nothing is mapped at 0x${address}\n`));
    }
  },
);

test('a process without memory: exit 1, whoever asks', needs(lacksKernel), async (t) => {
  const ended = await zombie();
  const isThread = existsSync('/proc/2/comm') && readFileSync('/proc/2/comm', 'utf8');
  if (isThread !== 'kthreadd\n') t.diagnostic('process 2 is no thread of the kernel');
  for (const pid of isThread === 'kthreadd\n' ? [ended, 2] : [ended]) {
    for (const options of [[], ['--range', '4k']]) {
      const { code, stderr } = await memmap(['addr', ...options, String(pid), '1000']);
      assert.equal(code, 1, stderr);
      assert.match(stderr, / has no memory: it (has ended|is a thread of the kernel)\n/);
      assert.doesNotMatch(stderr, /there is no process/);
    }
  }
});

test('what is neither an address nor a file is a mistake', async () => {
  assert.equal((await memmap(['addr', String(process.pid), 'xyz'])).code, 2);
  assert.equal((await memmap(['addr', '4194303', '1000'])).code, 2);
});

test(
  'without privileges: indexes and entry of own processes, the frame is ?',
  needs(lacksKernel, lacksRoot),
  async () => {
    const others = await memmapJson<Document>(['addr', String(process.pid), '7f0000000000'], {
      prefix: asNobody,
    });
    assert.deepEqual([others.code, others.document.entry, others.document.frame], [3, null, null]);
    assert.ok((others.document.walk?.indexes.length ?? 0) >= 3);
    const kernels = await memmap(['addr', String(process.pid), 'ffffffff81000000'], {
      prefix: asNobody,
    });
    assert.equal(kernels.code, 1, 'no right shows it');
    assert.match(kernels.stderr, /nothing of a process is at 0xffffffff81000000\n/);
    const script = `sleep 20 & pid=$!; sleep 0.3
    at=$(head -1 /proc/$pid/maps | cut -d- -f1)
    "$@" $pid $at; code=$?; kill $pid; exit $code`;
    const own = await memmap(['addr'], { prefix: [...asNobody, 'sh', '-c', script, 'sh'] });
    assert.equal(own.code, 3, own.stderr);
    assert.match(own.stdout, /entry +0x[0-9a-f]+: present/);
    assert.match(own.stdout, /frame +\?, physical address \?, mapped \? times/);
    assert.match(own.stderr, /the kernel hides frame numbers.*\nhint: run as root/);
  },
);
