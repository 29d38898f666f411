import assert from 'node:assert/strict';
import { readFileSync, symlinkSync } from 'node:fs';
import { after, test } from 'node:test';
import { pageSize } from 'memmap';
import { checkDocument, memmap, memmapJson, writtenFile } from '../support/command.ts';
import { endHolders, holderOf } from '../support/holder.ts';
import { asNobody, lacksKernel, lacksRoot, needs } from '../support/machine.ts';
import { temporaryFile, temporaryPath } from '../support/temporary.ts';

after(endHolders);

interface Account {
  maps: number;
  virtual: number;
  resident: number;
  proportional: number;
  shared: number;
  private: number;
  locked: number;
  huge: number;
}
interface Mapping extends Account {
  start: string;
  permissions: string;
  sharedMapping: boolean;
  kind: string;
  name: string | null;
  mappedBy: number | null;
  pages?: string;
}
interface Document {
  pid: number;
  groups: (Account & { name: string; mappings: Mapping[] })[];
  total: Account;
  locked: number | null;
  maximumMaps: number | null;
  gaps: { start: string; end: string; length: string }[] | null;
}
const own = String(process.pid);

test('by kind: the groups add up to the total, and that to what the kernel says', async () => {
  const path = temporaryFile(64 * pageSize);
  const pid = await holderOf(path, 64);
  const { code, document } = await memmapJson<Document>(['maps', String(pid)]);
  assert.equal(code, 0);
  for (const key of ['maps', 'virtual', 'resident', 'shared', 'private'] as const) {
    const sum = document.groups.reduce((total, group) => total + group[key], 0);
    assert.equal(sum, document.total[key], key);
  }
  const lines = readFileSync(`/proc/${pid}/maps`, 'utf8').trimEnd().split('\n').length;
  assert.equal(document.total.maps, lines);
  const names = document.groups.map(({ name }) => name);
  for (const kind of ['file', 'anonymous', 'heap', 'stack']) assert.ok(names.includes(kind), kind);
});

test('text: the table, what could be freed, and how many mappings there may be', async () => {
  const { code, stdout } = await memmap(['maps', own]);
  assert.equal(code, 0);
  assert.match(stdout, /^.+\(\d+\)\nKIND +MAPS +VIRT +RSS +PSS +SHARED +PRIVATE +DIRTY +SWAP/);
  assert.match(stdout, /could be freed without swap: \S+; after writing to the disk: /);
  assert.match(stdout, /locked \S+; VMAs \d+\/\d+/);
});

test('the process may stand anywhere among the options', async () => {
  const total = async (...args: string[]) => {
    const { code, document } = await memmapJson<Document>(['maps', ...args]);
    assert.equal(code, 0, args.join(' '));
    assert.equal(document.pid, Number(pid), args.join(' '));
    return document.total.virtual;
  };
  const pid = String(await holderOf(temporaryFile(4 * pageSize), 4));
  const expected = await total(pid);
  assert.equal(await total('--top', '1', pid), expected);
  assert.equal(await total(pid, '--top', '1'), expected);
  assert.equal(await total('--group=none', pid), expected);
  assert.equal(await total('--gaps', pid), expected);
});

test('what was begun for a command line that turns out wrong is nobody’s error', async () => {
  for (const args of [
    ['maps', own, '--nonsense'],
    ['maps', '4194000', '--nonsense'],
    ['maps', own, own],
    ['maps', '9999999'],
    ['maps', '0'],
  ]) {
    const { code, stderr } = await memmap(args);
    assert.equal(code, 2, args.join(' '));
    assert.match(stderr, /^memmap maps: [^\n]+\n(hint: [^\n]+\n)*$/, args.join(' '));
  }
  const { code, stdout } = await memmap(['maps', own, '--help']);
  assert.equal(code, 0);
  assert.match(stdout, /^Usage: memmap maps/);
});

test('a shared mapping that one process has touched is private, and both are told', async () => {
  const path = temporaryFile(16 * pageSize);
  const pid = await holderOf(path, 16);
  const args = ['maps', '--group', 'none', '--file', path, String(pid)];
  const { document } = await memmapJson<Document>(args);
  const mapping = document.groups[0]?.mappings[0];
  assert.deepEqual(
    [mapping?.permissions, mapping?.sharedMapping, mapping?.resident, mapping?.shared],
    ['r--s', true, 16 * pageSize, 0],
  );
  assert.equal(mapping?.mappedBy, 1);
  await holderOf(path, 16);
  const both = await memmapJson<Document>(args);
  const second = both.document.groups[0]?.mappings[0];
  assert.deepEqual([second?.shared, second?.private, second?.mappedBy], [16 * pageSize, 0, 2]);
});

test('a file by a link to it; the mappings of the process are counted, not the chosen', async () => {
  const path = temporaryFile(16 * pageSize);
  const link = temporaryPath('link');
  symlinkSync(path, link);
  const pid = await holderOf(path, 1);
  const { code, stdout } = await memmap(['maps', '--file', link, String(pid)]);
  assert.equal(code, 0);
  const lines = readFileSync(`/proc/${pid}/maps`, 'utf8').trimEnd().split('\n').length;
  assert.match(stdout, new RegExp(`VMAs ${lines}/`));
});

test('locked is what is locked, not a share of it', async () => {
  const path = writtenFile(16 * pageSize);
  const lock = 'mapping.lock();';
  const pid = await holderOf(path, 16, lock);
  await holderOf(path, 16, lock);
  const { document } = await memmapJson<Document>(['maps', '--file', path, String(pid)]);
  assert.equal(document.total.locked, 16 * pageSize);
  assert.equal(document.locked, 16 * pageSize);
});

test('huge pages are seen', needs(lacksKernel), async () => {
  const setup = `
    const { anonymous } = await import('memmap');
    globalThis.huge = anonymous(8 * 2 ** 20, { hugePages: 'transparent' });
    globalThis.huge.bytes.fill(1);`;
  const pid = await holderOf(temporaryFile(1), 1, setup);
  const smaps = readFileSync(`/proc/${pid}/smaps`, 'utf8');
  const there = [...smaps.matchAll(/^AnonHugePages:\s+(\d+) kB$/gm)].map(([, kb]) => Number(kb));
  const { document } = await memmapJson<Document>(['maps', String(pid)]);
  assert.equal(document.total.huge, there.reduce((a, b) => a + b, 0) * 1024);
});

test('by file and by rights, sorted and cut', async () => {
  const files = await memmapJson<Document>(['maps', '--group', 'file', '--top', '3', own]);
  assert.equal(files.document.groups.length, 3);
  const [first, second] = files.document.groups;
  assert.ok((first?.resident ?? 0) >= (second?.resident ?? 0));
  const rights = await memmap(['maps', '--group', 'perm', '--sort', 'name', '--plain', own]);
  const names = rights.stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t')[0]);
  assert.deepEqual(names, [...names].sort());
  assert.ok(names.includes('rw-p'));
  const virtual = await memmapJson<Document>(['maps', '--sort', 'virt', own]);
  const sizes = virtual.document.groups.map((group) => group.virtual);
  assert.deepEqual(
    sizes,
    [...sizes].sort((a, b) => b - a),
  );
});

test('--pages draws what is in the page table', needs(lacksKernel), async () => {
  const path = writtenFile(64 * pageSize);
  const pid = await holderOf(path, 1);
  const args = ['maps', '--group', 'none', '--file', path, '--pages', String(pid)];
  const { document } = await memmapJson<Document>(args);
  const mapping = document.groups[0]?.mappings[0];
  assert.equal(mapping?.pages?.length, 64);
  const there = [...(mapping?.pages ?? '')].filter((character) => character === 'F').length;
  assert.equal(there * pageSize, mapping?.resident);
  const { stdout } = await memmap(args);
  assert.match(stdout, /A anonymous, F of a file/);
  assert.ok(stdout.includes(`  ${mapping?.pages}`));
});

test('--cheap and --gaps', async () => {
  const { document } = await memmapJson<Document>(['maps', '--cheap', '--gaps', own]);
  assert.equal(document.total.resident, null);
  assert.ok((document.gaps?.length ?? 0) > 0);
  for (const { start, end, length } of document.gaps ?? []) {
    assert.equal(BigInt(end) - BigInt(start), BigInt(length));
  }
});

test('--diff tells what changed, in a time or since a snapshot', async () => {
  const timed = await memmap(['maps', '--diff', '0.05', own, '--json']);
  assert.equal(timed.code, 0);
  checkDocument(timed.stdout);
  const file = temporaryPath('snapshot');
  assert.equal((await memmap(['snapshot', own, '-o', file])).code, 0);
  const since = await memmap(['maps', '--diff', file, own]);
  assert.equal(since.code, 0);
  assert.match(since.stdout, /BEFORE +AFTER +CHANGE/);
});

test('of a command: it is looked at, and ended', async () => {
  const args = ['--after', '0.3', '--', process.execPath, '-e', 'setInterval(() => 0, 1000)'];
  const { code, stdout } = await memmap(['maps', ...args]);
  assert.equal(code, 0);
  assert.match(stdout, /^.+\(\d+\)\nKIND/);
  const gone = await memmap(['maps', '--after', '600', '--', 'true']);
  assert.equal(gone.code, 2);
  assert.match(gone.stderr, /ended with 0 before it was looked at\nhint: --after/);
  assert.equal((await memmap(['maps', '--', temporaryPath('missing')])).code, 127);
});

test('processes by name: one, several, none', async () => {
  const setup = `import { writeFileSync } from 'node:fs'; // Bun has no process.title
    writeFileSync('/proc/self/comm', 'memmap-onlyone');`;
  const pid = await holderOf(temporaryFile(1), 1, setup);
  const one = await memmapJson<Document>(['maps', '--cheap', 'memmap-onlyone']);
  assert.equal(one.document.pid, pid);
  await holderOf(temporaryFile(1), 1, setup);
  const two = await memmap(['maps', 'memmap-onlyone']);
  assert.equal(two.code, 2);
  assert.match(two.stderr, /2 processes are named memmap-onlyone\nhint: one of \d+, \d+/);
  const none = await memmap(['maps', 'no-such-name-at-all']);
  assert.equal(none.code, 2);
  assert.match(none.stderr, /There is no process named/);
});

test('a process that is gone, one that may not be looked at, a file that it does not map', async () => {
  const gone = await memmap(['maps', '4194303']);
  assert.equal(gone.code, 2);
  assert.match(gone.stderr, /there is no process 4194303 \(ESRCH\)/);
  const other = await memmap(['maps', '--file', '/no/such/file', own]);
  assert.equal(other.code, 1);
});

test(
  'without privileges: own processes, and EACCES with a hint for others',
  needs(lacksRoot),
  async () => {
    const others = await memmap(['maps', own], { prefix: asNobody });
    assert.equal(others.code, 3);
    assert.match(others.stdout, /of address space, .* in memory\nanonymous .*\nlocked .*; VMAs \?/);
    const { document } = await memmapJson<Document>(['maps', own], { prefix: asNobody });
    assert.deepEqual([document.groups, document.total.maps], [[], null]);
    assert.ok(document.total.resident > 0);
    assert.match(others.stderr, /permission denied \(EACCES\)\nhint: .*CAP_SYS_PTRACE/);
    const args = ['maps', '--pages', '--after', '0.3', '--', 'sleep', '5'];
    const mine = await memmap(args, { prefix: asNobody });
    assert.equal(mine.code, 0, mine.stderr);
    assert.match(mine.stdout, /^sleep\(\d+\)\nKIND/);
  },
);
