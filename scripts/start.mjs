// npm start: the tour of the library, from a clean checkout on.
import { spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { build, install, main, root } from './setup.mjs';

await main(() => {
  install();
  build();
  const tour = join(root, 'dist/cli/tour/main.js');
  const { status, signal } = spawnSync(process.execPath, [tour, ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  return status ?? 128 + constants.signals[signal];
});
