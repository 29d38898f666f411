import { closeSync, openSync, writeFileSync } from 'node:fs';
import { anonymous, map } from '../../../index.ts';
import { limits, type ResourceLimits } from '../../../inspect/index.ts';
import type { Chapter, Tour } from '../chapter.ts';
import { softLimit } from '../system.ts';

export const errors: Chapter = {
  name: 'errors',
  title: "Errors: the documents' checklist",
  about:
    'Is the descriptor valid, do the rights match, is the size sensible, the offset aligned, are ' +
    'there addresses left, was a limit met? Each is an error with a code, and a hint how to cure it.',
  async run(tour) {
    await tour.step('asking for what must be refused');
    tellLimits(tour);
    const path = tour.path('five-thousand-bytes');
    writeFileSync(path, Buffer.alloc(5000, 1));
    const missed = attempts(tour, path).filter(([tried, work]) => !tour.refusal(tried, work));
    for (const [tried] of missed) tour.fact('was not refused', tried);
    allowWhatCFails(tour, path);
    if (missed.length > 0) throw new Error(`Cannot trust the checks: ${missed.length} were missed`);
  },
};

function tellLimits(tour: Tour): void {
  const { maps } = limits();
  const limitOf = (name: keyof ResourceLimits) => {
    const limit = softLimit(name);
    return limit === Number.POSITIVE_INFINITY ? 'unlimited' : limit;
  };
  tour.fact('addresses (RLIMIT_AS)', limitOf('RLIMIT_AS'), 'bytes');
  tour.fact('locked memory (RLIMIT_MEMLOCK)', limitOf('RLIMIT_MEMLOCK'), 'bytes');
  tour.fact('open files (RLIMIT_NOFILE)', limitOf('RLIMIT_NOFILE'), 'count');
  const note = `of ${maps.maximum ?? 'unknown'} (vm.max_map_count)`;
  tour.fact('mappings of this process', maps.used, 'count', note);
}

function attempts(tour: Tour, path: string): [string, () => unknown][] {
  const directory = tour.path('.');
  return [
    ['map(fd), closed before', () => map(closedDescriptor(path))],
    ["map(fd of open 'r', { access: 'write' })", () => mapReadOnly(path)],
    ['anonymous(2 ** 50)', () => anonymous(2 ** 50)],
    ['map(5000 bytes, { length: 9000 })', () => map(path, { length: 9000 })],
    ['map(5000 bytes, { offset: 6000 })', () => map(path, { offset: 6000 })],
    ['map(path, { offset: -1 })', () => map(path, { offset: -1 })],
    ["map(path, { length: '1' })", () => map(path, { length: '1' as unknown as number })],
    ["map('no such file')", () => map(tour.path('missing'))],
    ['map(directory)', () => map(directory)],
    ["map('/proc/self/status')", () => map('/proc/self/status')],
    ['anonymous(1, { address: taken })', () => mapTaken()],
    ['view(Float64Array, 3)', () => viewMisaligned(path)],
    ['bytes, after close()', () => useClosed(path)],
  ];
}

function closedDescriptor(path: string): number {
  const fd = openSync(path, 'r');
  closeSync(fd);
  return fd;
}

function mapReadOnly(path: string): void {
  const fd = openSync(path, 'r');
  try {
    map(fd, { access: 'write' }).close();
  } finally {
    closeSync(fd);
  }
}

function mapTaken(): void {
  using memory = anonymous(1);
  anonymous(1, { address: memory.address }).close();
}

function viewMisaligned(path: string): void {
  using file = map(path);
  file.view(Float64Array, 3, 1);
}

function useClosed(path: string): Buffer {
  const file = map(path);
  file.close();
  return file.bytes;
}

/** Three traps of the documents that are none here. */
function allowWhatCFails(tour: Tour, path: string): void {
  using part = map(path, { offset: 4097, length: 10 });
  tour.fact('offset 4097, EINVAL in C', `${part.byteLength} bytes`, null, 'the library aligns');
  const emptyPath = tour.path('empty');
  writeFileSync(emptyPath, '');
  using empty = map(emptyPath);
  tour.fact('an empty file, EINVAL in C', `${empty.byteLength} bytes`, null, 'an empty mapping');
  part.close();
  part.close();
  tour.fact('close() twice', 'fine', null, 'munmap() of a wrong range tears down others');
}
