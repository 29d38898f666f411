/**
 * An addon for tests: errors that must kill, and memory that only system calls give.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { lacksCommand } from './machine.ts';

export interface Probe {
  load(address: bigint): number;
  store(address: bigint, byte: bigint): void;
  jump(address: bigint): void;
  unmap(address: bigint, byteLength: bigint): number;
  /** Maps a file of its own, cuts it and loads: SIGBUS. */
  foreign(): number;
  /** A descriptor of memfd_secret; -1 where the kernel has none. */
  secret(byteLength: bigint): number;
  /** Installs a handler for SIGSEGV and SIGBUS that exits with code 42. */
  handle(): void;
}

const source = 'test/support/probe.c';

export const lacksProbe = lacksCommand('gcc');

/** The path of the compiled addon; compiles it the first time. */
export function probePath(): string {
  const hash = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 16);
  const path = resolve(`build/probe/probe-${process.arch}-${hash}.node`);
  if (existsSync(path)) return path;
  mkdirSync('build/probe', { recursive: true });
  const fresh = `${path}.${process.pid}`;
  execFileSync('gcc', ['-shared', '-fPIC', '-O1', '-o', fresh, source]);
  renameSync(fresh, path);
  return path;
}

/** The addon, in any thread. */
export function probe(): Probe {
  return createRequire(import.meta.url)(probePath()) as Probe;
}
