// The layer rules that the linter cannot see. The rule for imports is in biome.json.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { filesUnder, root } from './setup.mjs';

const layers = 'binding core mapping shared scan inspect heap code cli web'.split(' ');
const lineLimit = 500;
const problems = [];

for (const [path, text] of sources(/\.[ch]$/, 'native/core', 'native/platform')) {
  if (/#\s*include\s*[<"](js_)?(node|native)_api\w*\.h/.test(text)) {
    problems.push(`${path}: only native/binding may include node_api.h`);
  }
}

for (const [path, text] of sources(/\.ts$/, 'src')) {
  if (
    !path.startsWith('src/binding/') &&
    /\.node['"`]|createRequire|dlopen|MEMMAP_ADDON|prebuilds/.test(text)
  ) {
    problems.push(`${path}: only src/binding may know of the addon`);
  }
}

for (const entry of readdirSync(join(root, 'src'), { withFileTypes: true })) {
  if (entry.isDirectory() && !layers.includes(entry.name)) {
    problems.push(`src/${entry.name}: not a layer; give it a place here and in biome.json`);
  }
}

for (const [path, text] of sources(/\.ts$/, 'src', 'test', 'bench', 'examples')) {
  const lines = text.split('\n').length - 1;
  if (lines > lineLimit)
    console.warn(`${path}: ${lines} lines, more than ${lineLimit} (a warning)`);
}

for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;

function sources(name, ...folders) {
  return folders
    .flatMap((folder) => filesUnder(join(root, folder)))
    .filter((file) => name.test(file))
    .map((file) => [relative(root, file), readFileSync(file, 'utf8')]);
}
