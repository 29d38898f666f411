/**
 * What the machine has, what it lacks, and what it says about this process.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { collect } from '../runtime/runtime.ts';
import { atExit, temporaryPath } from './temporary.ts';

/** An emulator is slow, and has its own idea of address space and of /proc. */
export const isEmulated = process.env.MEMMAP_EMULATED === '1';
const isRoot = process.getuid?.() === 0;

/** Options of a test that needs something: runs, or is skipped with the reason. */
export function needs(...lacks: (string | false | undefined)[]): { skip?: string } {
  const reasons = lacks.filter((lack) => typeof lack === 'string');
  return reasons.length > 0 ? { skip: reasons.join('; ') } : {};
}

export const lacksKernel = isEmulated && 'the emulator does not show the mappings of the kernel';
export const lacksRoot = !isRoot && 'needs root, to become another user or to mount';

export function lacksCommand(...names: string[]): string | false {
  const missing = names.filter((name) => spawnSync(name, ['--version']).error);
  return missing.length > 0 && `there is no ${missing.join(', ')} on this machine`;
}

/** Before a command: runs it as the user nobody, without capabilities. */
export const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];

/** A row of /proc/self/status in bytes. */
export function statusBytes(row: 'VmLck' | 'VmRSS' | 'VmSize'): number {
  const status = readFileSync('/proc/self/status', 'utf8');
  return Number(new RegExp(`^${row}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024;
}

/** Rows of /proc/self/maps, of one file or all. */
export function mappingsOf(path = ''): string[] {
  const rows = readFileSync('/proc/self/maps', 'utf8').split('\n');
  return rows.filter((row) => row.length > 0 && row.endsWith(path));
}

/** The VmFlags of the kernel's mapping that holds an address, and its page size in bytes. */
export function kernelMapping(address: bigint): { flags: string[]; pageBytes: number } {
  const smaps = readFileSync('/proc/self/smaps', 'utf8');
  for (const part of smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
    const [, start, end] = /^([0-9a-f]+)-([0-9a-f]+)/.exec(part) ?? [];
    if (address < BigInt(`0x${start}`) || address >= BigInt(`0x${end}`)) continue;
    const flags = /^VmFlags: (.*?) ?$/m.exec(part)?.[1]?.split(' ') ?? [];
    return { flags, pageBytes: Number(/^KernelPageSize:\s+(\d+)/m.exec(part)?.[1]) * 1024 };
  }
  return { flags: [], pageBytes: 0 };
}

/** Descriptors that this process has open. */
export function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

/** Mounts a file system that goes away with the process; undefined where that is not permitted. */
export function mounted(type: string, options: string): string | undefined {
  const directory = temporaryPath('mount');
  mkdirSync(directory);
  const { status } = spawnSync('mount', ['-t', type, '-o', options, 'none', directory]);
  if (status !== 0) return undefined;
  atExit(() => spawnSync('umount', ['-l', directory]));
  return directory;
}

/** Lets the collector run until something has happened; gives up after many rounds. */
export async function collected(isDone: () => boolean): Promise<boolean> {
  for (let round = 0; round < 50 && !isDone(); round++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return isDone();
}
