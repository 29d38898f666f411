import { anonymous as mapAnonymous } from '../../../index.ts';
import type { Chapter, Tour } from '../chapter.ts';
import { runChild } from '../child.ts';
import { collectGarbage, processBytes } from '../system.ts';

const alphabet = 'abcdefghijklmnopqrstuvwxyz';
const blockBytes = 64 * 2 ** 20;

export const anonymous: Chapter = {
  name: 'anonymous',
  title: 'Anonymous memory',
  about:
    'Memory without a file, full of zeros: what malloc() takes large blocks from, and what ' +
    'processes share. Unlike a Buffer it is given back when it is closed.',
  async run(tour) {
    tour.code(
      'using memory = anonymous(size);                 // mmap(MAP_ANONYMOUS | MAP_PRIVATE)',
      'using shared = anonymous(size, { shared: true });  // memfd_create, MAP_SHARED',
      "map(3, { access: 'write', shared: true });      // in the child that was given shared.fd",
    );
    await tour.step('filling anonymous memory');
    fill(tour);
    await giveBack(tour);
    await tour.step('sharing memory with a second process');
    share(tour);
  },
};

function fill(tour: Tour): void {
  using memory = mapAnonymous(1024);
  const isZero = memory.bytes.every((byte) => byte === 0);
  memory.bytes.write(alphabet);
  const text = memory.bytes.toString('latin1', 0, alphabet.length);
  tour.fact('full of zeros at first', isZero);
  tour.fact('after the stores', text === alphabet, null, `'${text}'`);
  if (!isZero || text !== alphabet) throw new Error('Cannot trust anonymous memory');
}

/** How much resident memory grew since `before`; null where the system does not tell. */
function grown(before: number | null): number | null {
  const now = processBytes('resident');
  return before === null || now === null ? null : Math.max(0, now - before);
}

/** In a function of its own, which leaves no reference. */
function fillBuffer(before: number | null): number | null {
  const block = Buffer.alloc(blockBytes, 1);
  return block.length > 0 ? grown(before) : null;
}

async function giveBack(tour: Tour): Promise<void> {
  collectGarbage();
  let before = processBytes('resident');
  const memory = mapAnonymous(blockBytes);
  memory.bytes.fill(1);
  const filled = grown(before);
  memory.close();
  const closed = grown(before);
  before = processBytes('resident');
  const allocated = fillBuffer(before);
  const dropped = grown(before);
  collectGarbage();
  // The collector gives array buffers back on a thread of its own.
  await new Promise((resolve) => setTimeout(resolve, 50));
  tour.compare('Resident memory of the process, more than before', 'bytes', [
    { label: 'anonymous(), filled', value: filled },
    { label: 'after close()', value: closed },
    { label: 'Buffer.alloc(), filled', value: allocated },
    { label: 'after the last reference is gone', value: dropped },
    { label: 'after a garbage collection', value: grown(before) },
  ]);
}

function share(tour: Tour): void {
  using shared = mapAnonymous(400, { shared: true });
  const numbers = shared.view(Int32Array);
  numbers[1] = 41;
  const answer = runChild(
    `
    using: {
      const shared = memmap.map(3, { access: 'write', shared: true, length: 400 });
      const numbers = shared.view(Int32Array);
      answer = numbers[1];
      Atomics.store(numbers, 0, 42);
      shared.close();
    }
    `,
    { descriptor: shared.fd },
  );
  if (answer === undefined) {
    tour.limit('A second process could not be started: nothing was shared with it.');
    return;
  }
  tour.fact('41, stored here, as the child saw it', answer as number, 'count');
  tour.fact(
    '42, stored by the child, seen here',
    numbers[0] ?? null,
    'count',
    'no copy, no message',
  );
  if (numbers[0] !== 42 || answer !== 41) throw new Error('Cannot share memory with a child');
}
