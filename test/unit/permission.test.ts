import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { test } from 'node:test';
import { runModule } from '../support/child.ts';
import { asNobody, lacksCommand, lacksRoot, needs } from '../support/machine.ts';
import { temporaryDirectory, temporaryFile } from '../support/temporary.ts';

const needed = needs(lacksRoot, !lacksRoot && lacksCommand('setpriv'));

async function tryAsNobody(mode: number): Promise<unknown[]> {
  const path = temporaryFile(10);
  chmodSync(temporaryDirectory(), 0o755);
  chmodSync(path, mode);
  const source = `
    import { map } from 'memmap';
    const said = ['read', 'write', 'copy'].map((access) => {
      try {
        const mapping = map(process.argv[1], { access });
        return mapping.byteLength;
      } catch ({ code, path, syscall, hint }) {
        return [code, path === process.argv[1], syscall, hint];
      }
    });
    console.log(JSON.stringify(said));`;
  const { code, stdout, stderr } = await runModule(source, { args: [path], prefix: asNobody });
  assert.deepEqual([code, stderr], [0, '']);
  return JSON.parse(stdout);
}

test('a file that may not be read', needed, async () => {
  for (const said of await tryAsNobody(0o600)) {
    const [code, isPath, syscall, hint] = said as unknown[];
    assert.deepEqual([code, isPath, syscall], ['EACCES', true, 'open']);
    assert.match(String(hint), /may not be opened for/);
  }
});

test('a file that may only be read', needed, async () => {
  const [read, write, copy] = await tryAsNobody(0o644);
  assert.deepEqual([read, copy], [10, 10]);
  const [code, , , hint] = write as unknown[];
  assert.equal(code, 'EACCES');
  assert.match(String(hint), /'read' or 'copy'/);
});
