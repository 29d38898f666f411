import { closeSync, openSync, readSync, statSync, truncateSync } from 'node:fs';
import { map } from '../../../index.ts';
import { formatBytes } from '../../format.ts';
import type { Chapter, Tour } from '../chapter.ts';
import { memoryOf, softLimit } from '../system.ts';

const GiB = 2 ** 30;
const fileBytes = 6 * GiB;

export const sparse: Chapter = {
  name: 'sparse',
  title: 'A file of 6 GiB that is nearly empty',
  about:
    'A mapping may be larger than the memory, and larger than a Buffer can be: a window shows ' +
    'a part of it. Of a sparse file only the pages that were stored to take room on the disk.',
  async run(tour) {
    tour.code(
      "using file = map(path, { access: 'write' });",
      'file.window(5 * 2 ** 30, 4096).write(text);     // beyond 4 GiB',
    );
    await tour.step('mapping a file of 6 GiB');
    const path = tour.path('sparse');
    if (!makeSparseFile(tour, path)) return;
    using file = map(path, { access: 'write' });
    const before = statSync(path).blocks * 512;
    const places = [0, 3 * GiB + 1, 5 * GiB - 7, fileBytes - 100];
    const rows = places.map((position) => {
      const text = `stored at ${position}`;
      file.window(position, text.length).write(text);
      return [position, formatBytes(position), readText(path, position, text.length)];
    });
    const isRight = rows.every(([position, , text]) => text === `stored at ${position}`);
    await file.flush();
    tour.table(
      [
        { label: 'byte', unit: 'count' },
        { label: 'that is', unit: null },
        { label: 'read(2) there', unit: null },
      ],
      rows,
    );
    if (!isRight) throw new Error('Cannot read back what was stored');
    const stored = statSync(path).blocks * 512 - before;
    tour.compare('Size and room', 'bytes', [
      { label: 'size, and addresses', value: fileBytes },
      { label: 'memory (RSS)', value: memoryOf(file).resident },
      { label: 'room on the disk', value: stored },
    ]);
    const isWhole = !tour.refusal('file.bytes', () => file.bytes);
    if (isWhole) tour.fact('file.bytes', 'whole', null, 'a Buffer of this runtime can hold 6 GiB');
  },
};

function readText(path: string, position: number, length: number): string {
  const target = Buffer.alloc(length);
  const fd = openSync(path, 'r');
  readSync(fd, target, 0, length, position);
  closeSync(fd);
  return target.toString('latin1');
}

/** False, and said so, where files or addresses may not be so large. */
function makeSparseFile(tour: Tour, path: string): boolean {
  for (const name of ['RLIMIT_FSIZE', 'RLIMIT_AS'] as const) {
    const limit = softLimit(name);
    if (limit !== null && limit < fileBytes + GiB) {
      tour.limit(
        `${name} is ${formatBytes(limit)} for this process (ulimit): 6 GiB are not possible.`,
      );
      return false;
    }
  }
  closeSync(openSync(path, 'w'));
  try {
    truncateSync(path, fileBytes);
    return true;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    tour.limit(`The file system of the temporary directory has no files of 6 GiB: ${reason}`);
    return false;
  }
}
