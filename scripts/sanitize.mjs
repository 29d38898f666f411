// Runs the unit and property tests on an addon built with the address and undefined-behaviour
// sanitizers. The fault tests are left out: there the faults are the point.
import { execFileSync } from 'node:child_process';
import { buildSanitizedAddon, sanitizedAddonPath } from './build-native.mjs';
import { build, install, main } from './setup.mjs';
import { runTests, testFiles } from './test.mjs';

// Those that drive the addon's code without limits on memory, which the sanitizers themselves would
// meet, and without locks, which they turn off.
const chosen = [
  ...['advise', 'arguments', 'close', 'copy', 'discard', 'empty', 'evict-resize'],
  ...['follow', 'guard', 'map', 'offset', 'options', 'prefetch-evict', 'protect'],
  ...['read-write', 'resize', 'views', 'window', 'with-access'],
].map((name) => `build/test/unit/${name}.test.js`);

await main(() => {
  install();
  build({ tests: true });
  buildSanitizedAddon();
  const library = (name) => execFileSync('gcc', [`-print-file-name=${name}`], { encoding: 'utf8' });
  return runTests(testFiles(chosen), {
    env: {
      ...process.env,
      LD_PRELOAD: `${library('libasan.so').trim()} ${library('libubsan.so').trim()}`,
      ASAN_OPTIONS: 'detect_leaks=0:handle_segv=0:handle_sigbus=0:allow_user_segv_handler=1',
      UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
      MEMMAP_ADDON: sanitizedAddonPath,
    },
  });
});
