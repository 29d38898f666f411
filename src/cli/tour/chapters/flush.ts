import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { type Mapping, map } from '../../../index.ts';
import type { Chapter, Tour } from '../chapter.ts';
import { faultsOf, memoryOf } from '../system.ts';
import { longestGap } from '../timing.ts';

const fileBytes = 32 * 2 ** 20;

export const flush: Chapter = {
  name: 'flush',
  title: 'Flushing: msync',
  about:
    'Stores reach the disk when the kernel writes them back. flush() is msync(MS_SYNC): when it ' +
    'is done the disk has them. Held against fsync(2) after write(2).',
  async run(tour) {
    tour.code(
      'file.flushSync();                               // msync(MS_SYNC), blocks',
      "file.flushSync({}, { mode: 'async' });          // msync(MS_ASYNC)",
      'await file.flush({ offset, length });           // msync(MS_SYNC) on another thread',
    );
    await tour.step('storing and flushing');
    if (tour.workspace.isTmpfs) {
      tour.limit(
        'The temporary directory is a tmpfs, which has no disk: flushing costs nothing here. ' +
          'TMPDIR=/var/tmp npm start shows a disk.',
      );
    }
    const path = tour.path('mapped');
    using file = map(path, { access: 'write', create: true, length: fileBytes, extend: true });
    file.bytes.fill(1);
    file.flushSync();
    watchDirtyPages(tour, file);
    await raceToDisk(tour, file);
    await watchEventLoop(tour, file);
    if (!readFileSync(path).equals(file.bytes))
      throw new Error('Cannot read back what was flushed');
  },
};

function watchDirtyPages(tour: Tour, file: Mapping): void {
  const rows: [string, number | null][] = [];
  const look = (label: string) => {
    const { dirty } = memoryOf(file);
    rows.push([label, dirty === null ? null : dirty / file.pageSize]);
  };
  file.bytes.fill(2, 0, 4 * 2 ** 20);
  look('4 MiB stored');
  file.flushSync({}, { mode: 'async' });
  look("flushSync, mode 'async': told only");
  file.flushSync({ offset: 0, length: 1 });
  look('flushSync of byte 0: its page');
  file.flushSync({ offset: 0, length: 2 ** 20 });
  look('flushSync of 1 MiB');
  file.flushSync({}, { invalidate: true });
  look('flushSync of all, invalidate');
  tour.compare(
    'Dirty pages of the mapping',
    'count',
    rows.map(([label, value]) => ({ label, value })),
  );
}

async function raceToDisk(tour: Tour, file: Mapping): Promise<void> {
  const fd = openSync(tour.path('written'), 'w');
  const block = Buffer.alloc(fileBytes);
  let round = 0;
  const contestants = [
    {
      label: 'stores, flushSync() (msync)',
      work() {
        file.bytes.fill(++round);
        file.flushSync();
        return fileBytes;
      },
    },
    {
      label: 'write(2), fsync(2)',
      work() {
        block.fill(++round);
        const count = writeSync(fd, block, 0, fileBytes, 0);
        fsyncSync(fd);
        return count;
      },
    },
  ];
  try {
    await tour.race('32 MiB to the disk', contestants, { rounds: 3 });
  } finally {
    closeSync(fd);
  }
  const { minor } = faultsOf(() => file.bytes.fill(0));
  const note = 'a flushed page is clean, and the next store into it is a fault: write(2) has none';
  tour.fact('page faults of these stores', minor, 'count', note);
}

async function watchEventLoop(tour: Tour, file: Mapping): Promise<void> {
  await tour.step('flushing beside the event loop');
  const gaps: number[][] = [[], []];
  for (let round = 0; round < 3; round++) {
    file.bytes.fill(100 + round);
    gaps[0]?.push(await longestGap(() => file.flush()));
    file.bytes.fill(200 + round);
    gaps[1]?.push(await longestGap(() => file.flushSync()));
  }
  const [beside, blocking] = gaps.map((times) => times.toSorted((a, b) => a - b)[1] ?? null);
  tour.compare('How long the event loop stood still meanwhile', 'ms', [
    { label: 'await flush()', value: beside ?? null },
    { label: 'flushSync()', value: blocking ?? null },
  ]);
}
