import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { pageSize } from 'memmap';
import { diagnose } from '#dist/inspect/index.js';
import { runModule } from '../support/child.js';
import { endHolders, holderOf } from '../support/holder.js';
import { asNobody, lacksRoot, needs } from '../support/machine.js';
import { pattern, temporaryPath } from '../support/temporary.js';

const page = BigInt(pageSize);
after(endHolders);

describe('without privileges', needs(lacksRoot), () => {
  const library = JSON.stringify(new URL('../../../dist/inspect/index.js', import.meta.url).href);
  const run = async (source: string, args: string[]) => {
    const code = `import * as inspect from ${library};
      const [path] = process.argv.slice(1).filter((a) => a !== '--');
      const show = (value) => console.log(JSON.stringify(value, (_, v) =>
        typeof v === 'bigint' ? String(v) : v));
      ${source}`;
    const ending = await runModule(code, { prefix: asNobody, args });
    assert.equal(ending.stderr, '');
    assert.equal(ending.code, 0);
    return JSON.parse(ending.stdout);
  };
  /** A file that anybody may read, in a directory that anybody may enter. */
  function publicFile(): string {
    const directory = temporaryPath('public');
    mkdirSync(directory, { mode: 0o755 });
    const path = join(directory, 'file');
    writeFileSync(path, pattern(8 * pageSize), { mode: 0o644 });
    chmodSync(dirname(directory), 0o755);
    return path;
  }

  test('residency of a file of another user is unknown by both sources, never 100 %', async () => {
    const path = publicFile();
    for (const source of ['undefined', '"cachestat"', '"mincore"']) {
      const found = await run(`show(inspect.residency(path, {source: ${source}, cells: 2}));`, [
        path,
      ]);
      assert.equal(found.cached, null);
      assert.equal(found.source, null);
      assert.equal(found.cells[1].cached, null);
      assert.match(found.unknown[0].hint, /root/);
    }
  });

  test('present and exclusive are known, the frame is not', async () => {
    const found = await run(
      `import { anonymous, pageSize } from 'memmap';
       const memory = anonymous(pageSize); memory.write(Buffer.from('x'));
       show(inspect.translate('self', memory.address));`,
      [],
    );
    assert.equal(found.entry.present, true);
    assert.equal(found.entry.exclusive, true);
    assert.equal(found.walk.indexes.length, found.levels);
    assert.deepEqual([found.frame, found.mapcount, found.flags], [null, null, null]);
    assert.equal(found.unknown[0].what, 'frame');
  });

  test('processes of others: EACCES where all is asked, unknown where it is a part', async () => {
    const path = publicFile();
    const pid = await holderOf(path, 8);
    const found = await run(
      `const codeOf = (look) => { try { look(); return null } catch (e) { return [e.code, e.hint] } };
       const pid = ${pid};
       show({
         maps: codeOf(() => inspect.readMaps(pid)),
         space: codeOf(() => inspect.addressSpace(pid)),
         translation: inspect.translate(pid, ${page}n),
         limits: inspect.limits(pid),
         status: inspect.readStatus(pid),
         holders: inspect.holders(path),
         checks: inspect.diagnose(pid),
         out: codeOf(() => inspect.pageOut(pid, 0n, ${pageSize})),
       });`,
      [path],
    );
    assert.equal(found.maps[0], 'EACCES');
    assert.match(found.maps[1], /CAP_SYS_PTRACE/);
    assert.equal(found.space[0], 'EACCES');
    assert.equal(found.translation.entry, null);
    assert.equal(found.limits.maps.used, null);
    assert.ok(found.status.resident > 0);
    assert.ok(found.holders.unreadable.includes(pid));
    assert.deepEqual(found.holders.holders, []);
    const readable = found.checks.find((check: { name: string }) => check.name === 'readable');
    assert.equal(readable.status, 'skip');
    assert.ok(['EPERM', 'EACCES'].includes(found.out[0]));
  });

  test('the limit of locked memory counts', async () => {
    const soft = /Max locked memory\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    const need = Number(soft ?? 0) + 1;
    const checks = await run(`show(inspect.diagnose(undefined, {lock: ${need}}));`, []);
    const lock = checks.find((check: { name: string }) => check.name === 'RLIMIT_MEMLOCK');
    assert.equal(lock.status, soft === undefined ? 'ok' : 'fail');
    assert.equal(diagnose(undefined, { lock: need })[0]?.status, 'ok');
  });
});
