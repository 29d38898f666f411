import { closeSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { map } from '../../../index.ts';
import type { Chapter, Tour } from '../chapter.ts';

const alphabet = 'abcdefghijklmnopqrstuvwxyz';
const fileBytes = 16 * 2 ** 20;
const stores = 50_000;

export const writing: Chapter = {
  name: 'writing',
  title: 'Writing through a mapping',
  about:
    'A store into a shared mapping is a store into the page cache: read(2) sees it at once, ' +
    'and the kernel writes it to the disk when it likes.',
  async run(tour) {
    tour.code(
      "using file = map(path, { access: 'write', create: true, length: 26, extend: true });",
      `file.bytes.write('${alphabet}');  // open, ftruncate, mmap(MAP_SHARED), stores`,
      'file.resize(52);                                // ftruncate and mremap, or neither',
    );
    writeAlphabet(tour);
    await raceStores(tour);
  },
};

function writeAlphabet(tour: Tour): void {
  const path = tour.path('alphabet.txt');
  using file = map(path, { access: 'write', create: true, length: 26, extend: true });
  file.bytes.write(alphabet);
  const read = readFileSync(path, 'latin1');
  tour.fact('read(2) after the stores', read === alphabet, null, `'${read}'`);
  const fd = openSync(path, 'r+');
  writeSync(fd, 'ABC', 0);
  closeSync(fd);
  const seen = file.bytes.toString('latin1', 0, 6);
  tour.fact('write(2), seen in the mapping', seen === 'ABCdef', null, `'${seen}'`);
  file.resize(52);
  file.bytes.write(alphabet, 26);
  const size = statSync(path).size;
  tour.fact('size of the file after resize', size, 'bytes', 'to the byte, not to the page');
  if (read !== alphabet || seen !== 'ABCdef' || !readFileSync(path, 'latin1').endsWith(alphabet)) {
    throw new Error('Cannot read back what was stored');
  }
}

/** Scattered 8-byte stores, as a hash table or a matrix on disk makes them. */
async function raceStores(tour: Tour): Promise<void> {
  const mapped = tour.path('mapped');
  const written = tour.path('written');
  using file = map(mapped, { access: 'write', create: true, length: fileBytes, extend: true });
  using other = map(written, { access: 'write', create: true, length: fileBytes, extend: true });
  const words = file.view(Float64Array);
  const fd = openSync(written, 'r+');
  const word = new Float64Array(1);
  const scatter = (store: (index: number, value: number) => void) => {
    let state = 1;
    for (let i = 0; i < stores; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      store(state % words.length, i);
    }
    return stores;
  };
  const contestants = [
    {
      label: 'a store into the mapping',
      work: () =>
        scatter((index, value) => {
          words[index] = value;
        }),
    },
    {
      label: 'write(2) of 8 bytes',
      work: () =>
        scatter((index, value) => {
          word[0] = value;
          writeSync(fd, word, 0, 8, index * 8);
        }),
    },
  ];
  try {
    const label = `${stores.toLocaleString('en-US')} scattered 8-byte words, each`;
    await tour.race(label, contestants, { operations: stores });
  } finally {
    closeSync(fd);
  }
  const isEqual = file.bytes.equals(other.bytes);
  tour.fact('both files have the same bytes', isEqual);
  if (!isEqual) throw new Error('Cannot trust the stores: the files differ');
}
