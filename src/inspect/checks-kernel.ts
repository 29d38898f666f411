/**
 * Checks of what the running kernel has: found out by trying, never by its version.
 */
import { closeSync, existsSync, openSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import { type NativeFailure, native } from '../binding/native.ts';
import { decodePageEntry } from '../core/pagemap.ts';
import { anonymous } from '../mapping/map.ts';
import { pageTables } from '../mapping/translation.ts';
import { type Check, check } from './diagnosis.ts';
import { readPageEntries, scanPages } from './pages.ts';
import { tryReadNumber } from './proc.ts';

/** Tries something; the code of what the kernel said against it, or `null`. */
function refusalOf(work: () => void): string | null {
  try {
    work();
    return null;
  } catch (error) {
    const { errno, code } = error as NativeFailure & { code?: string };
    return code ?? getSystemErrorName(errno);
  }
}

function tableCheck(): Check {
  const tables = pageTables('self');
  if (!tables) {
    return check('kernel', 'page tables', `unknown for ${process.arch}`, { status: 'skip' });
  }
  const { levels, addressBits, pageBytes } = tables;
  const flag = process.arch === 'x64' ? `, ${levels.length === 5 ? 'la57' : 'no la57'}` : '';
  const value = `${levels.length} levels${flag}, ${addressBits} bits, pages of ${pageBytes} bytes`;
  return check('kernel', 'page tables', value);
}

function cachestatCheck(): Check {
  const fd = openSync(process.execPath, 'r');
  try {
    const refusal = refusalOf(() => native.cacheState(fd, 0, 1, new Float64Array(5)));
    // EPERM is an answer: the kernel has the call, and this file is somebody else's.
    if (refusal === null || refusal === 'EPERM') return check('kernel', 'cachestat', 'yes');
    const why = 'mincore answers instead: no dirty pages, no pages on their way to the disk';
    return check('kernel', 'cachestat', `no (${refusal})`, {
      status: 'warn',
      why,
      cure: 'Linux 6.5',
    });
  } finally {
    closeSync(fd);
  }
}

function scanCheck(address: bigint): Check {
  const range = { start: address, end: address + BigInt(native.pageBytes) };
  const refusal = refusalOf(() => scanPages('self', range));
  if (refusal === null) return check('kernel', 'PAGEMAP_SCAN', 'yes');
  const why = 'pagemap answers instead, more slowly, and does not tell huge pages';
  return check('kernel', 'PAGEMAP_SCAN', 'no', { status: 'warn', why, cure: 'Linux 6.7' });
}

function frameCheck(address: bigint): Check {
  const [raw] = readPageEntries('self', address, 1);
  const isShown = raw !== undefined && decodePageEntry(raw).frame !== null;
  if (isShown) return check('kernel', 'frame numbers', 'shown');
  const why = 'the kernel shows them to CAP_SYS_ADMIN only';
  return check('kernel', 'frame numbers', 'hidden', { status: 'skip', why, needsRoot: true });
}

function watchCheck(): Check {
  using memory = anonymous(native.pageBytes);
  const refusal = refusalOf(() => native.watchWrites(memory));
  if (refusal === null) {
    return check('kernel', 'watching stores', 'yes', { why: 'by userfaultfd, exact to the page' });
  }
  const isForbidden = refusal === 'EPERM';
  return check('kernel', 'watching stores', `no (${refusal})`, {
    status: 'skip',
    why: isForbidden ? 'userfaultfd is forbidden here, as in many containers' : 'Linux 6.7 has it',
    needsRoot: isForbidden,
  });
}

/** A page that was just stored to is soft-dirty where the kernel keeps track of that. */
function softDirtyCheck(address: bigint): Check {
  const [raw] = readPageEntries('self', address, 1);
  const works = raw !== undefined && decodePageEntry(raw).softDirty;
  if (works) return check('kernel', 'soft-dirty', 'yes');
  const why =
    'built without CONFIG_MEM_SOFT_DIRTY: writing to clear_refs succeeds and does nothing';
  return check('kernel', 'soft-dirty', 'no', { status: 'skip', why });
}

function presence(name: string, path: string, why: string, cure: string | null = null): Check {
  const isThere = existsSync(path);
  return check('kernel', name, isThere ? 'yes' : 'no', {
    status: isThere ? 'ok' : 'skip',
    why,
    cure: isThere ? null : cure,
    needsRoot: true,
  });
}

function setting(name: string, path: string, why: string): Check {
  const value = tryReadNumber(path);
  const status = value === null ? 'skip' : 'ok';
  return check('kernel', name, value === null ? 'not in this kernel' : String(value), {
    status,
    why,
  });
}

/** What the kernel can show and do. */
export function checkKernel(): Check[] {
  using memory = anonymous(native.pageBytes);
  memory.write(new Uint8Array([1]));
  const { address } = memory;
  return [
    tableCheck(),
    cachestatCheck(),
    scanCheck(address),
    frameCheck(address),
    watchCheck(),
    softDirtyCheck(address),
    presence('idle pages', '/sys/kernel/mm/page_idle/bitmap', 'which pages nobody used'),
    presence(
      'tracefs',
      '/sys/kernel/tracing/events',
      'each fault with its time and place',
      'mount -t tracefs none /sys/kernel/tracing',
    ),
    setting(
      'unprivileged_userfaultfd',
      '/proc/sys/vm/unprivileged_userfaultfd',
      '0: users without privileges watch stores of their own code only, which is enough here',
    ),
    setting(
      'ptrace_scope',
      '/proc/sys/kernel/yama/ptrace_scope',
      'from 1 on, only the own children can be looked at without privileges',
    ),
    setting('perf_event_paranoid', '/proc/sys/kernel/perf_event_paranoid', 'for perf trace -F'),
  ];
}
