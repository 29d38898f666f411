/**
 * Everything at once: another process cuts and grows a file while the main thread and workers load
 * and store, map and close, and are terminated. MEMMAP_STORM_SECONDS makes it longer.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runProcess, scriptWords } from '../support/child.ts';
import { temporaryPath } from '../support/temporary.ts';
import type { Summary, Told } from './storm/main.ts';

const seconds = Number(process.env.MEMMAP_STORM_SECONDS ?? 15);
const allowed = /^ERR_MEMMAP_(TRUNCATED|READ_ONLY|NO_ACCESS)$/;
const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);

test('storm', { timeout: (seconds + 120) * 1000 }, async () => {
  const main = fileURLToPath(new URL('./storm/main.js', import.meta.url));
  const command = [...scriptWords, main, temporaryPath('storm')];
  const timeoutMs = (seconds + 90) * 1000;
  const ending = await runProcess([...command, String(seconds)], { timeoutMs });
  const text = `${ending.stdout}\n${ending.stderr}`;
  assert.deepEqual([ending.code, ending.signal], [0, null], text);
  const summary = JSON.parse(ending.stdout) as Summary;
  const all: Told[] = [summary.main, ...summary.workers];
  for (const { met, closed } of all) {
    assert.ok(met.faults > 0, text);
    for (const code of Object.keys(met.reports)) assert.match(code, allowed);
    for (const code of ['ERR_MEMMAP_TRUNCATED', 'ERR_MEMMAP_READ_ONLY', 'ERR_MEMMAP_NO_ACCESS']) {
      assert.ok((met.reports[code] ?? 0) > 0, `no ${code}: ${text}`);
    }
    for (const code of Object.keys(closed)) assert.match(code, allowed);
  }
  const { cuts, threads, terminated, longestTurnMs } = summary;
  assert.ok(cuts > 100, text);
  const faults = sum(all.map(({ met }) => met.faults));
  const reports = sum(all.flatMap(({ met }) => Object.values(met.reports)));
  const closes = sum(all.map((told) => told.closes));
  console.log(
    `storm of ${seconds} s on Node ${process.versions.node}: ${cuts} cuts, ${faults} faults, ` +
      `${reports} reports, ${threads + 1} threads (${terminated} terminated), ` +
      `${closes} mappings closed, longest turn ${longestTurnMs} ms`,
  );
});
