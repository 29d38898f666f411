// Packs the package, installs the tarball into a new project and uses it there, as a user would.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, install, main, root } from './setup.mjs';

const use = `
  const assert = require('node:assert');
  const { writeFileSync } = require('node:fs');
  const required = require('memmap');
  import('memmap').then((imported) => {
    assert.strictEqual(imported.map, required.map, 'import and require give one module');
    writeFileSync('file', 'mapped');
    const mapping = imported.map('file');
    assert.strictEqual(mapping.bytes.toString(), 'mapped');
    mapping.close();
  });
`;

await main(() => {
  install();
  build();
  const project = mkdtempSync(join(tmpdir(), 'memmap-package-'));
  try {
    const pack = ['pack', root, '--ignore-scripts', '--json', '--pack-destination', project];
    const [{ filename, files, size }] = JSON.parse(npm(project, pack));
    const { dependencies = {} } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    // Offline: the package's own dependencies come from the folder where they are installed.
    const local = Object.keys(dependencies).map((name) => join(root, 'node_modules', name));
    writeFileSync(join(project, 'package.json'), '{ "private": true }');
    npm(project, ['install', '--ignore-scripts', '--offline', `./${filename}`, ...local]);
    execFileSync(process.execPath, ['-e', use], { cwd: project, stdio: 'inherit' });
    console.log(`${filename}: ${files.length} files, ${size} bytes, works by import and require`);
  } finally {
    rmSync(project, { recursive: true, force: true });
  }
});

function npm(cwd, args) {
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
  return execFileSync('npm', [...args, ...quiet], {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}
