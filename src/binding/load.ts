/**
 * Finds the addon: the one that came with the package, or the one that was built here.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** Another addon, for the sanitizers and for other processors. On Deno without --allow-env: none. */
function fromEnvironment(): string | undefined {
  try {
    return process.env.MEMMAP_ADDON;
  } catch {
    return undefined;
  }
}

export function load(): unknown {
  const require = createRequire(import.meta.url);
  const target = `${process.platform}-${process.arch}`;
  const candidates = [
    fromEnvironment(),
    fileURLToPath(new URL(`../../prebuilds/${target}/memmap.node`, import.meta.url)),
    fileURLToPath(new URL('../../native/build/Release/memmap.node', import.meta.url)),
  ];
  for (const path of candidates) {
    if (path && existsSync(path)) return require(path);
  }
  const error = new Error(`Cannot load memmap: there is no addon for ${target}`);
  throw Object.assign(error, {
    code: 'ERR_MEMMAP_UNSUPPORTED',
    hint: 'run `node scripts/build-native.mjs` in the package; it needs gcc, make and python3',
  });
}
