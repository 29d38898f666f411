/**
 * `npm run bench -- [NAME...] [--rounds=N]`: runs the benchmarks, all or those named.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Benchmark {
  run(directory: string, rounds: number): Promise<void>;
}

const helpers = new Set(['run.js', 'measure.js', 'rival.js', 'scan-words.js']);
const names = readdirSync(new URL('.', import.meta.url))
  .filter((file) => file.endsWith('.js') && !helpers.has(file))
  .map((file) => file.slice(0, -3));
const options = process.argv.slice(2);
const rounds = Number(options.find((o) => o.startsWith('--rounds='))?.slice(9) ?? 5);
const wanted = options.filter((option) => !option.startsWith('--'));
const unknown = wanted.filter((name) => !names.includes(name));
if (unknown.length > 0 || !(rounds >= 1)) {
  console.error(`usage: npm run bench -- [${names.join('|')}]... [--rounds=N]`);
  process.exit(2);
}

// On the disk that temporary files are on: TMPDIR chooses another.
const directory = mkdtempSync(join(tmpdir(), 'memmap-bench-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
for (const name of wanted.length > 0 ? wanted : names) {
  console.log(`\n== ${name}`);
  const benchmark = (await import(`./${name}.js`)) as Benchmark;
  await benchmark.run(directory, rounds);
}
