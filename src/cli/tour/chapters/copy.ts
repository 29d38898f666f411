import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { map } from '../../../index.ts';
import type { Chapter } from '../chapter.ts';
import { faultsOf, memoryOf } from '../system.ts';

const mostBytes = 64 * 2 ** 20;
const storedPages = 16;

export const copy: Chapter = {
  name: 'copy',
  title: 'Private copy on write',
  about:
    'A private mapping shares the pages of the file until one is stored to; then the process ' +
    'gets a copy of this one page. The file never changes (MAP_PRIVATE).',
  async run(tour) {
    tour.code(
      "using draft = map(path, { access: 'copy' });    // mmap(MAP_PRIVATE)",
      'draft.bytes[0] ^= 0xff;                         // copies one page',
      "draft.discard('dontneed');                      // back to what the file has",
    );
    await tour.step('storing into a private copy');
    const { path, byteLength } = tour.subject();
    const length = Math.min(byteLength, mostBytes);
    const before = hashFile(path, length);
    using draft = map(path, { access: 'copy', length });
    using original = map(path, { length });
    const { bytes, pageSize } = draft;
    const filePages = Math.ceil(length / pageSize);
    const pages = Math.min(storedPages, filePages);
    const stride = Math.floor(filePages / pages) * pageSize;
    const flip = () => {
      for (let i = 0; i < pages; i++) bytes[i * stride] = (bytes[i * stride] as number) ^ 0xff;
    };
    const { minor } = faultsOf(flip);
    tour.compare('Memory of a private mapping', 'bytes', [
      { label: 'mapped', value: length },
      { label: 'stored to', value: pages * pageSize },
      { label: 'copied for this process', value: memoryOf(draft).anonymous },
    ]);
    tour.fact('pages stored to', pages, 'count');
    tour.fact(
      'page faults for it',
      minor,
      'count',
      'the first load or store of a page, and its copy',
    );
    const isChanged = bytes[0] === ((original.bytes[0] as number) ^ 0xff);
    tour.fact('another mapping still has the old bytes', isChanged);
    const isSame = hashFile(path, length) === before;
    tour.fact('the file is unchanged', isSame, null, 'SHA-256 by read(2), before and after');
    tour.refusal('draft.flushSync()', () => draft.flushSync());
    draft.discard('dontneed');
    const isBack = bytes.equals(original.bytes);
    tour.fact('after discard, equal to the file', isBack);
    if (!isChanged || !isSame || !isBack) throw new Error('Cannot trust the private copy');
  },
};

function hashFile(path: string, length: number): string {
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(2 ** 20);
  const fd = openSync(path, 'r');
  for (let position = 0; position < length; ) {
    const count = readSync(fd, chunk, 0, Math.min(chunk.length, length - position), position);
    if (count === 0) break;
    hash.update(chunk.subarray(0, count));
    position += count;
  }
  closeSync(fd);
  return hash.digest('hex');
}
