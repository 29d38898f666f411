import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { MessageChannel, Worker } from 'node:worker_threads';
import { type Mapping, map, pageSize } from '../../../index.ts';
import { decodePageEntry, type PageEntry, readPageEntries } from '../../../inspect/index.ts';
import { SharedMemory } from '../../../shared/index.ts';
import type { Chapter, Tour } from '../chapter.ts';
import { Companion } from '../child.ts';
import { countLineFeeds } from '../line-feeds.ts';
import type { Task } from '../share-worker.ts';
import { collectGarbage, processBytes } from '../system.ts';

const additions = 250_000;
const workers = 4;
const pages = 4;

export const sharing: Chapter = {
  name: 'sharing',
  title: 'Sharing: processes and worker threads',
  about:
    'One memory in several processes and threads: stores of one are loads of the others. And ' +
    'one file in several private mappings, whose pages part only where somebody stores.',
  async run(tour) {
    tour.code(
      "SharedMemory.create('/counter', 4096);          // shm_open(O_CREAT | O_EXCL)",
      "SharedMemory.open('/counter', { access: 'write' });  // in the other process",
      'worker.postMessage(memory.share());             // a handle: no byte is copied',
      'Mapping.attach(handle);                         // in the worker',
    );
    await tour.step('counting in two processes and two threads');
    await countTogether(tour);
    await tour.step('copy on write between two processes');
    await partPages(tour);
    await tour.step('handing memory to a worker');
    await handOver(tour);
    await tour.step('four workers, one file');
    await divideFile(tour);
  },
};

async function runWorker(task: Task): Promise<number> {
  const worker = new Worker(new URL('../share-worker.js', import.meta.url), { workerData: task });
  const [[answer]] = await Promise.all([once(worker, 'message'), once(worker, 'exit')]);
  return answer;
}

/** The same counter in this process, in a child, and in two worker threads. */
async function countTogether(tour: Tour): Promise<void> {
  const name = `/memmap-tour-${process.pid}`;
  using memory = SharedMemory.create(name, pageSize);
  let isCounted: boolean;
  try {
    using child = new Companion(`
      using: {
        const memory = SharedMemory.open(${JSON.stringify(name)}, { access: 'write' });
        const numbers = memory.view(Int32Array);
        for (let i = 0; i < ${additions}; i++) Atomics.add(numbers, 0, 1);
        memory.close();
        say('done');
      }
    `);
    const numbers = memory.view(Int32Array);
    const threads = [1, 2].map(() => runWorker({ handle: memory.share(), additions }));
    for (let i = 0; i < additions; i++) Atomics.add(numbers, 0, 1);
    await Promise.all(threads);
    isCounted = (await child.hear()) === 'done';
  } finally {
    SharedMemory.unlink(name);
  }
  if (!isCounted) tour.limit('A second process could not be started: only threads have counted.');
  const expected = additions * (isCounted ? 4 : 3);
  const sum = memory.view(Int32Array)[0] ?? null;
  const who = isCounted
    ? 'this process, its child, and two workers'
    : 'this process and two workers';
  tour.fact('each added 1, so often', additions, 'count', `${who}, by Atomics.add`);
  tour.fact('the counter', sum, 'count', 'none was lost');
  if (sum !== expected) throw new Error(`Cannot share a counter: ${sum} instead of ${expected}`);
}

/** A private mapping here and one in a child, page by page, before and after a store of the child. */
async function partPages(tour: Tour): Promise<void> {
  const path = tour.path('common');
  writeFileSync(path, Buffer.alloc(pages * pageSize, 1));
  using mine = map(path, { access: 'copy' });
  using child = new Companion(`
    const file = memmap.map(${JSON.stringify(path)}, { access: 'copy' });
    const load = () => file.bytes.reduce((sum, byte) => sum + byte, 0);
    load();
    say(String(file.address));
    await hear();
    file.bytes[0] = 2;
    say(file.bytes[0]);
    await hear();
  `);
  const address = await child.hear();
  const { pid } = child;
  if (typeof address !== 'string' || pid === undefined) {
    tour.limit('A second process could not be started: no pages were parted from it.');
    return;
  }
  const theirs = BigInt(address);
  if (mine.bytes[(pages - 1) * pageSize] !== 1) throw new Error(`Cannot read ${path}`);
  for (let page = 0; page < pages; page++) mine.bytes[page * pageSize];
  const before = look(mine, pid, theirs);
  child.tell('store');
  const stored = await child.hear();
  const after = look(mine, pid, theirs);
  child.tell('end');
  tour.fact('the child stored 2, and loads', stored as number, 'count');
  tour.fact('this process still loads', mine.bytes[0] ?? null, 'count');
  if (stored !== 2 || mine.bytes[0] !== 1) throw new Error('Cannot trust private mappings');
  if (!before || !after) {
    tour.limit('The page tables of a second process are not shown to this user here.');
    return;
  }
  showPages(tour, before, after);
}

interface Page {
  mine: PageEntry;
  theirs: PageEntry;
}

function look(mine: Mapping, pid: number, address: bigint): Page[] | null {
  try {
    const own = readPageEntries('self', mine.address, pages);
    const other = readPageEntries(pid, address, pages);
    return Array.from(own, (raw, i) => ({
      mine: decodePageEntry(raw),
      theirs: decodePageEntry(other[i] ?? 0n),
    }));
  } catch {
    return null;
  }
}

function describe({ present, frame, exclusive, file }: PageEntry): string {
  if (!present) return 'not mapped';
  const place = frame === null ? (file ? 'page of the file' : 'own page') : `frame ${frame}`;
  return `${place}${exclusive ? ', exclusive' : ''}`;
}

function showPages(tour: Tour, before: Page[], after: Page[]): void {
  const columns = ['page', 'this process', 'the child', 'after its store to page 0, the child'];
  tour.table(
    columns.map((label) => ({ label, unit: null })),
    before.map((page, i) => [
      String(i),
      describe(page.mine),
      describe(page.theirs),
      describe(after[i]?.theirs ?? page.theirs),
    ]),
  );
  const isParted = (page: Page) => page.theirs.present && page.mine.file !== page.theirs.file;
  tour.fact('pages that the child has to itself', after.filter(isParted).length, 'count');
  if (before.some(isParted) || after.filter(isParted).length !== 1) {
    throw new Error('Cannot see copy on write in the page tables');
  }
}

/** What handing over costs: a handle, and a Buffer that is copied. */
async function handOver(tour: Tour): Promise<void> {
  const { path, byteLength } = tour.subject();
  const length = Math.min(byteLength, 64 * 2 ** 20);
  using memory = map(path, { length, shared: true });
  const copied = Buffer.from(memory.bytes);
  const { port1, port2 } = new MessageChannel();
  const send = async (value: unknown) => {
    collectGarbage();
    const before = processBytes('resident');
    const arrival = once(port2, 'message');
    const start = performance.now();
    port1.postMessage(value);
    const sent = performance.now() - start;
    const [message] = await arrival;
    const now = processBytes('resident');
    const grown = before === null || now === null ? null : Math.max(0, now - before);
    return { sent, grown, message };
  };
  await send(0);
  const handle = await send(memory.share());
  const buffer = await send(copied);
  port1.close();
  const size = `${Math.round(length / 2 ** 20)} MiB`;
  const rows = [handle, buffer];
  const labels = [`the handle of ${size}`, `a Buffer of ${size}`];
  const labelled = (key: 'sent' | 'grown') =>
    rows.map((row, i) => ({ label: labels[i] as string, value: row[key] }));
  tour.compare('postMessage() takes', 'ms', labelled('sent'));
  tour.compare('Resident memory, more than before', 'bytes', labelled('grown'));
}

/** The documents' four processes over one file: here worker threads over one mapping. */
async function divideFile(tour: Tour): Promise<void> {
  const { path, byteLength } = tour.subject();
  const length = Math.min(byteLength, 64 * 2 ** 20);
  using file = map(path, { length, shared: true });
  const share = Math.ceil(length / workers);
  const parts = Array.from({ length: workers }, (_, i) => ({
    offset: Math.min(i * share, length),
    length: Math.max(0, Math.min(share, length - i * share)),
  }));
  const counts = await Promise.all(parts.map((part) => runWorker({ handle: file.share(), part })));
  const total = counts.reduce((sum, count) => sum + count, 0);
  const alone = countLineFeeds(file.bytes);
  tour.table(
    [
      { label: 'worker', unit: null },
      { label: 'from byte', unit: 'count' },
      { label: 'bytes', unit: 'count' },
      { label: 'line feeds', unit: 'count' },
    ],
    parts.map(({ offset, length: bytes }, i) => [String(i + 1), offset, bytes, counts[i] ?? null]),
  );
  tour.fact('together', total, 'count', `one thread counts ${alone.toLocaleString('en-US')}`);
  if (total !== alone) throw new Error(`Cannot divide the file: ${total} instead of ${alone}`);
}
