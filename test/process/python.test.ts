import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { map, pageSize } from 'memmap';
import { lacksCommand, needs } from '../support/machine.ts';
import { pattern, temporaryFile } from '../support/temporary.ts';

const python = needs(lacksCommand('python3'));
const length = 2 * pageSize;
const program = `
import mmap, sys
file = open(sys.argv[1], 'r+b')
mapping = mmap.mmap(file.fileno(), 0)
print('ready', flush=True)
for line in sys.stdin:
    verb, offset, argument = line.split()
    offset = int(offset)
    if verb == 'get':
        print(mapping[offset:offset + int(argument)].hex(), flush=True)
    elif verb == 'set':
        data = bytes.fromhex(argument)
        mapping[offset:offset + len(data)] = data
        print('done', flush=True)
    elif verb == 'resize':
        mapping.resize(int(argument))
        print('done', flush=True)
`;

/** A python process that has the file mapped, and does what it is told. */
async function otherSide(path: string) {
  const child = spawn('python3', ['-c', program, path], { stdio: ['pipe', 'pipe', 'inherit'] });
  after(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  assert.equal((await lines.next()).value, 'ready');
  const ask = async (...words: (string | number)[]) => {
    child.stdin.write(`${words.join(' ')}\n`);
    return (await lines.next()).value as string;
  };
  const end = async () => {
    child.stdin.end();
    const [code] = child.exitCode === null ? await once(child, 'exit') : [child.exitCode];
    assert.equal(code, 0);
  };
  return { ask, end };
}

test('python sees our stores at once', python, async () => {
  const path = temporaryFile(length);
  const { ask, end } = await otherSide(path);
  using mapping = map(path, { access: 'write' });
  for (const offset of [0, 1, pageSize - 2, length - 4]) {
    const data = pattern(4, offset);
    mapping.bytes.set(data, offset);
    assert.equal(await ask('get', offset, 4), data.toString('hex'));
    mapping.write(data.reverse(), offset);
    assert.equal(await ask('get', offset, 4), data.toString('hex'));
  }
  await end();
});

test('we see the stores of python at once', python, async () => {
  const path = temporaryFile(length);
  const { ask, end } = await otherSide(path);
  using reader = map(path, { offset: 3 });
  using copy = map(path, { access: 'copy' });
  copy.bytes[0] = 1;
  for (const offset of [4, pageSize - 2, length - 4]) {
    const data = pattern(4, offset + 9);
    assert.equal(await ask('set', offset, data.toString('hex')), 'done');
    assert.ok(reader.window(offset - 3, 4).equals(data));
    const target = Buffer.alloc(4);
    reader.read(target, offset - 3);
    assert.ok(target.equals(data));
  }
  assert.equal(await ask('set', 0, 'ff'), 'done');
  assert.equal(copy.bytes[0], 1);
  await end();
});

test('both resize the file', python, async () => {
  const path = temporaryFile(length);
  const { ask, end } = await otherSide(path);
  using reader = map(path, { capacity: 10 * length });
  assert.equal(await ask('resize', 0, 3 * length), 'done');
  assert.equal(await ask('set', 3 * length - 2, 'abcd'), 'done');
  reader.resize(3 * length);
  assert.equal(reader.window(3 * length - 2, 2).toString('hex'), 'abcd');
  using writer = map(path, { access: 'write' });
  writer.resize(4 * length);
  assert.equal(await ask('resize', 0, 4 * length), 'done');
  writer.bytes.write('end', 4 * length - 3);
  assert.equal(await ask('get', 4 * length - 3, 3), Buffer.from('end').toString('hex'));
  await end();
});
