import { anonymous, lockAll, map, unlockAll } from '../../../index.ts';
import { limits } from '../../../inspect/index.ts';
import { formatBytes } from '../../format.ts';
import type { Chapter, Tour } from '../chapter.ts';
import { runChild } from '../child.ts';
import { memoryOf, processBytes, softLimit } from '../system.ts';

const MiB = 2 ** 20;
/** nobody: a user without rights, where root shows what others may not do. */
const ordinaryUser = 65534;

export const lock: Chapter = {
  name: 'lock',
  title: 'Locking pages in memory: mlock, and its limit',
  about:
    'Locked pages stay in memory whatever the system needs: for real-time work, and for secrets ' +
    'that must not reach the swap. Users without privileges have a limit.',
  async run(tour) {
    tour.code(
      'file.lock({ offset, length });                  // mlock',
      'lockAll({ current: true, onFault: true });      // mlockall',
      'anonymous(4096, { locked: true });              // mlock2 when it is made',
    );
    await tour.step('locking pages');
    const limit = softLimit('RLIMIT_MEMLOCK');
    const isUnbound =
      (limits().capabilities?.CAP_IPC_LOCK ?? false) || limit === Number.POSITIVE_INFINITY;
    tellLimit(tour, limit, isUnbound);
    lockSecret(tour);
    const most = isUnbound || limit === null ? Number.POSITIVE_INFINITY : limit;
    await evictAround(tour, Math.min(4 * MiB, Math.floor(most / 2 / MiB) * MiB));
    await tour.step('locking more than the limit allows');
    exceed(tour, limit, isUnbound);
    lockEverything(tour);
  },
};

/** The documents' critical data: locked from its first byte on. */
function lockSecret(tour: Tour): void {
  try {
    using secret = anonymous(4096, { locked: true });
    tour.fact('a page for a secret, locked', memoryOf(secret).locked, 'bytes', 'before it has one');
  } catch (error) {
    tour.refused('anonymous(4096, { locked: true })', error);
    tour.limit('This process may not lock a single page.');
  }
}

function tellLimit(tour: Tour, limit: number | null, isUnbound: boolean): void {
  const value = limit === Number.POSITIVE_INFINITY ? 'unlimited' : limit;
  const note = isUnbound ? 'does not bind us (CAP_IPC_LOCK, or no limit)' : 'binds us';
  tour.fact('RLIMIT_MEMLOCK (ulimit -l)', value, 'bytes', note);
}

async function evictAround(tour: Tour, locked: number): Promise<void> {
  if (locked === 0) {
    tour.limit('The limit on locked memory is under 2 MiB: no part of a file is locked.');
    return;
  }
  const path = tour.path('file');
  using file = map(path, { access: 'write', create: true, length: 16 * MiB, extend: true });
  file.bytes.fill(1);
  await file.flush();
  try {
    file.lock({ offset: 0, length: locked });
  } catch (error) {
    tour.refused(`file.lock({ offset: 0, length: ${locked} })`, error);
    tour.limit('This process may not lock memory.');
    return;
  }
  const told = memoryOf(file).locked;
  await file.evict({ offset: locked, length: file.byteLength - locked });
  const kept = file.residency();
  file.unlock();
  const gone = await file.evict();
  const bytesOf = (pages: number | null) => (pages === null ? null : pages * file.pageSize);
  tour.compare('A file of 16 MiB in memory', 'bytes', [
    { label: 'stored, and flushed', value: file.byteLength },
    { label: 'locked (smaps)', value: told },
    { label: 'after evict() of the rest', value: bytesOf(kept.resident) },
    { label: 'after unlock() and evict()', value: bytesOf(gone.resident) },
  ]);
  if (tour.workspace.isTmpfs) {
    tour.limit(
      'The temporary directory is a tmpfs, whose pages are their only copy: nothing can be evicted.',
    );
  }
}

/** Asks for more than the limit; as root through a child that has no rights. */
function exceed(tour: Tour, limit: number | null, isUnbound: boolean): void {
  if (limit === null || limit === Number.POSITIVE_INFINITY || limit > 2 ** 30) {
    tour.limit('There is no limit on locked memory to run into here.');
    return;
  }
  const length = limit + MiB;
  const tried = `anonymous(${formatBytes(length)}).lock()`;
  if (!isUnbound) {
    using memory = anonymous(length);
    const before = processBytes('locked');
    tour.refusal(tried, () => memory.lock());
    tour.fact(
      'locked before, and after the failure',
      processBytes('locked') === before,
      null,
      'the same',
    );
    return;
  }
  const answer = runChild(
    `
    const memory = memmap.anonymous(${length});
    try { memory.lock(); answer = null; }
    catch ({ code, message, hint }) { answer = { code, message, hint }; }
    `,
    { user: ordinaryUser },
  );
  if (typeof answer === 'object' && answer !== null && 'message' in answer) {
    tour.refused(
      `${tried}, as user ${ordinaryUser}`,
      Object.assign(new Error(String(answer.message)), answer),
    );
  } else {
    tour.limit('We may lock all we like, and could not become a user who may not.');
  }
}

function lockEverything(tour: Tour): void {
  const before = processBytes('locked');
  try {
    lockAll({ onFault: true });
  } catch (error) {
    tour.refused('lockAll({ onFault: true })', error);
    tour.limit('This user may not lock the whole process (mlockall).');
    return;
  }
  const during = processBytes('locked');
  unlockAll();
  tour.compare('Locked addresses of the process (VmLck)', 'bytes', [
    { label: 'before', value: before },
    { label: 'after lockAll()', value: during },
    { label: 'after unlockAll()', value: processBytes('locked') },
  ]);
}
