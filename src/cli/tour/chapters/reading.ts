import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { map } from '../../../index.ts';
import type { Chapter, Subject, Tour } from '../chapter.ts';
import { collectGarbage, faultsOf } from '../system.ts';

/** Of a larger file only the beginning is read: the tour is to end soon. */
const mostBytes = 256 * 2 ** 20;
const chunkBytes = 64 * 1024;

export const reading: Chapter = {
  name: 'reading',
  title: 'Mapping a file and reading it',
  about:
    'A file becomes memory: a load is the read, without a system call and without a copy. ' +
    'Held against read(2), as the documents do.',
  async run(tour) {
    tour.code(
      'using file = map(path);                        // mmap(PROT_READ, MAP_SHARED)',
      'file.bytes[position];                          // a load, not a read(2)',
      'map(path, { offset: 1234, length: 100 });      // any offset: alignment is our work',
    );
    await tour.step('preparing a file');
    if (tour.userFile !== null) tellOfUserFile(tour, tour.userFile);
    const subject = tour.subject();
    const length = Math.min(subject.byteLength, mostBytes);
    if (!subject.isOfUser) tour.fact('a file of random bytes', length, 'bytes');
    checkBytes(tour, subject, length);
    await raceToFirstByte(tour, subject);
    await raceRandomBytes(tour, subject, length);
    await raceWhole(tour, subject, length);
  },
};

function tellOfUserFile(tour: Tour, path: string): void {
  using file = map(path);
  tour.fact('your file', file.byteLength, 'bytes', path);
  if (file.byteLength === 0) {
    tour.fact(
      'an empty file',
      'maps',
      null,
      'to an empty mapping; the rest uses a file of our own',
    );
    return;
  }
  const { pages, resident } = file.residency({ length: Math.min(file.byteLength, mostBytes) });
  const looked = resident === null ? null : resident * file.pageSize;
  const note =
    resident === null
      ? 'the kernel tells only who may write the file'
      : `${resident} of ${pages} pages, before we touch any (mincore)`;
  tour.fact('of it in the page cache', looked, 'bytes', note);
  if (file.byteLength > mostBytes) tour.fact('looked at below: the first', mostBytes, 'bytes');
}

function readPart(path: string, position: number, length: number): Buffer {
  const target = Buffer.alloc(length);
  const fd = openSync(path, 'r');
  const count = readSync(fd, target, 0, length, position);
  closeSync(fd);
  return target.subarray(0, count);
}

function checkBytes(tour: Tour, { path, byteLength }: Subject, length: number): void {
  const offset = Math.min(1234, Math.floor(byteLength / 2));
  using part = map(path, { offset, length: Math.min(100, byteLength - offset) });
  const isEqual = part.bytes.equals(readPart(path, offset, part.byteLength));
  tour.fact(`bytes from ${offset} on as read(2) has them`, isEqual, null, 'not aligned to a page');
  using file = map(path, { length });
  const last = file.window(length - 1, 1)[0];
  if (!isEqual || last !== readPart(path, length - 1, 1)[0]) {
    throw new Error(`Cannot trust the mapping of ${path}: read(2) gives other bytes`);
  }
}

async function raceToFirstByte(tour: Tour, { path, byteLength }: Subject): Promise<void> {
  const label = 'From the path to one byte';
  const operations = 200;
  const repeat = (work: () => number | undefined) => () => {
    let last: number | undefined;
    for (let i = 0; i < operations; i++) last = work();
    return last;
  };
  const loadOne = () => {
    const file = map(path);
    const first = file.window(0, 1)[0];
    file.close();
    return first;
  };
  const rows = await tour.measure(
    label,
    [
      { label: 'map(), window(), close()', work: repeat(loadOne) },
      { label: 'open(2), read(2), close(2)', work: repeat(() => readPart(path, 0, 1)[0]) },
    ],
    { operations },
  );
  if (byteLength <= mostBytes) {
    // By itself: the garbage that it leaves would fall on the others.
    const whole = { label: 'readFileSync()', work: () => readFileSync(path)[0] };
    rows.push(...(await tour.measure(label, [whole])));
    collectGarbage();
  }
  tour.compare(label, 'ms', rows);
}

async function raceRandomBytes(tour: Tour, { path }: Subject, length: number): Promise<void> {
  const operations = 100_000;
  using file = map(path, { length });
  const { bytes } = file;
  const fd = openSync(path, 'r');
  const one = Buffer.alloc(1);
  /** The same sequence of positions for both: a linear congruential generator. */
  const sum = (load: (position: number) => number) => {
    let state = 1;
    let total = 0;
    for (let i = 0; i < operations; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      total += load(state % length);
    }
    return total;
  };
  const contestants = [
    { label: 'a load from the mapping', work: () => sum((at) => bytes[at] as number) },
    {
      label: 'read(2) of one byte',
      work: () =>
        sum((at) => {
          readSync(fd, one, 0, 1, at);
          return one[0] as number;
        }),
    },
  ];
  try {
    await tour.race('A byte at a random place, each', contestants, { operations });
  } finally {
    closeSync(fd);
  }
}

/** The sum of the 32-bit words: all bytes are looked at, and it costs little. */
function sumWords(bytes: Buffer, length: number): number {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, length >> 2);
  let sum = 0;
  for (let i = 0; i < words.length; i++) sum = (sum + (words[i] as number)) >>> 0;
  return sum;
}

async function raceWhole(tour: Tour, { path }: Subject, length: number): Promise<void> {
  using warm = map(path, { length });
  const chunk = Buffer.from(new ArrayBuffer(chunkBytes));
  const readAll = () => {
    const fd = openSync(path, 'r');
    let sum = 0;
    for (let position = 0; position < length; position += chunkBytes) {
      const wanted = Math.min(chunkBytes, length - position);
      sum = (sum + sumWords(chunk, readSync(fd, chunk, 0, wanted, position))) >>> 0;
    }
    closeSync(fd);
    return sum;
  };
  const mapAll = () => {
    using file = map(path, { length });
    return sumWords(file.bytes, length);
  };
  await tour.race('All of it, from the beginning to the end', [
    { label: 'mapped before', work: () => sumWords(warm.bytes, length) },
    { label: 'map(), first pass, close()', work: mapAll },
    { label: 'read(2), 64 KiB each', work: readAll },
  ]);
  const { minor } = faultsOf(mapAll);
  const pages = Math.ceil(length / warm.pageSize);
  const note =
    `what a first pass pays, for ${pages.toLocaleString('en-US')} pages. ` +
    'The documents: read(2) for one simple pass, mapping to come back and to jump';
  tour.fact('page faults of a first pass', minor, 'count', note);
}
