import { closeSync, openSync, truncateSync } from 'node:fs';
import { anonymous, type Mapping, map } from '../../../index.ts';
import { formatBytes } from '../../format.ts';
import type { Chapter, Tour } from '../chapter.ts';
import { availableBytes, collectGarbage, faultsOf, memoryOf, processBytes } from '../system.ts';

const GiB = 2 ** 30;
const MiB = 2 ** 20;

export const paging: Chapter = {
  name: 'paging',
  title: 'Demand paging',
  about:
    'Mapping takes addresses, not memory: a page comes when it is first touched, by a page ' +
    "fault. The documents' example: 1 GiB is mapped, 100 MiB are touched.",
  async run(tour) {
    tour.code(
      'using memory = anonymous(2 ** 30);              // 1 GiB of addresses',
      'memory.bytes.fill(1, 0, 100 * 2 ** 20);         // 100 MiB of memory',
    );
    if (!mayMap(tour)) return;
    const touched = chooseBytes(tour);
    await tour.step(`touching ${formatBytes(touched)} of 1 GiB of anonymous memory`);
    touchAnonymous(tour, touched);
    await tour.step(`reading ${formatBytes(touched)} of a file of 1 GiB`);
    readFile(tour, touched);
  },
};

/** False, and said so, where a process does not get so many addresses. */
function mayMap(tour: Tour): boolean {
  const isRefused = tour.refusal('anonymous(2 ** 30)', () => anonymous(GiB).close());
  if (isRefused) tour.limit('A process does not get 1 GiB of addresses here.');
  return !isRefused;
}

function chooseBytes(tour: Tour): number {
  const available = availableBytes();
  const touched = Math.min(100 * MiB, Math.floor(available / 8 / MiB) * MiB);
  if (touched < 100 * MiB) {
    const text = `Only ${formatBytes(available)} of memory are free: ${formatBytes(touched)} are touched, not 100 MiB.`;
    tour.limit(text);
  }
  return touched;
}

/** One moment of the table: what the process and the mapping have now. */
class Moments {
  readonly rows: (string | number | null)[][] = [];

  add(label: string, mapping: Mapping | null, faults: number | null): void {
    const resident = mapping ? memoryOf(mapping).resident : null;
    this.rows.push([label, processBytes('virtual'), processBytes('resident'), resident, faults]);
  }

  tell(tour: Tour): void {
    tour.table(
      [
        { label: '', unit: null },
        { label: 'addresses (VmSize)', unit: 'bytes' },
        { label: 'memory (VmRSS)', unit: 'bytes' },
        { label: 'of the mapping', unit: 'bytes' },
        { label: 'page faults', unit: 'count' },
      ],
      this.rows.map((row) => row.map((value) => value ?? '-')),
    );
  }
}

function touchAnonymous(tour: Tour, touched: number): void {
  collectGarbage();
  const moments = new Moments();
  moments.add('before', null, null);
  using memory = anonymous(GiB);
  advisePages(memory);
  moments.add('1 GiB mapped', memory, 0);
  const { bytes, pageSize } = memory;
  const { minor } = faultsOf(() => bytes.fill(1, 0, touched));
  moments.add(`${formatBytes(touched)} touched`, memory, minor);
  const again = faultsOf(() => bytes.fill(2, 0, touched));
  moments.add('touched again', memory, again.minor);
  const resident = memoryOf(memory).resident;
  memory.discard('dontneed', { offset: 0, length: touched });
  moments.add("discard('dontneed')", memory, null);
  memory.close();
  moments.add('closed', null, null);
  moments.tell(tour);
  tour.compare('Anonymous memory', 'bytes', [
    { label: 'mapped', value: GiB },
    { label: 'touched', value: touched },
    { label: 'resident', value: resident },
  ]);
  tour.fact(
    'pages touched',
    touched / pageSize,
    'count',
    `of ${formatBytes(pageSize)}: a fault for each`,
  );
}

/** With huge pages a fault would bring 512 pages, and the count would tell nothing. */
function advisePages(memory: Mapping): void {
  try {
    memory.advise('nohugepage');
  } catch {
    // A kernel without huge pages does not know the advice, and does not need it.
  }
}

function readFile(tour: Tour, touched: number): void {
  const path = tour.path('sparse');
  closeSync(openSync(path, 'w'));
  truncateSync(path, GiB);
  using file = map(path);
  const { bytes, pageSize } = file;
  const read = (): void => {
    let sum = 0;
    for (let position = 0; position < touched; position += pageSize) {
      sum += bytes[position] as number;
    }
    if (sum !== 0) throw new Error('Cannot trust the mapping: a hole is not full of zeros');
  };
  const first = faultsOf(read);
  const { resident } = file.residency();
  tour.compare('A file of 1 GiB', 'bytes', [
    { label: 'mapped', value: GiB },
    { label: 'read', value: touched },
    { label: 'in the page cache (mincore)', value: resident === null ? null : resident * pageSize },
    { label: 'in our page tables (RSS)', value: memoryOf(file).resident },
  ]);
  const pages = touched / pageSize;
  const note = `for ${pages.toLocaleString('en-US')} pages: the kernel maps what lies around as well`;
  tour.fact('page faults', first.minor, 'count', note);
  tour.fact('of them from the disk', first.major, 'count', 'major faults: read ahead saves most');
}
