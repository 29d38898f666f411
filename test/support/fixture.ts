/**
 * Texts of other kernels and machines, from test/fixtures.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The text of a fixture, by its path under test/fixtures; tests run in the package's root. */
export function fixture(name: string): string {
  return readFileSync(join('test/fixtures', name), 'utf8');
}
