import { anonymous, type HugePages, type Mapping } from '../../../index.ts';
import { limits, readMeminfo } from '../../../inspect/index.ts';
import { formatBytes } from '../../format.ts';
import type { Chapter, Tour } from '../chapter.ts';
import { availableBytes, faultsOf, memoryOf } from '../system.ts';

const MiB = 2 ** 20;
const smallPage = 4096;
const loads = 1_000_000;

export const hugePages: Chapter = {
  name: 'huge-pages',
  title: 'Huge pages against normal ones',
  about:
    'One page of 2 MiB in the place of 512 of 4 KiB: fewer faults, and fewer entries in the ' +
    "processor's table of addresses (TLB). Reserved by the administrator, or transparent.",
  async run(tour) {
    tour.code(
      "anonymous(size, { hugePages: 'transparent' });  // madvise(MADV_HUGEPAGE)",
      "anonymous(size, { hugePages: '2MiB' });         // mmap(MAP_HUGETLB)",
    );
    const memory = readMeminfo();
    tour.fact('reserved (HugePages_Total)', memory.HugePages_Total ?? null, 'count');
    tour.fact('of them free', memory.HugePages_Free ?? null, 'count');
    tour.fact('size of one', memory.Hugepagesize ?? null, 'bytes');
    tour.fact(
      'transparent',
      limits().transparentHugePages.enabled ?? 'none',
      null,
      '/sys/kernel/mm/transparent_hugepage',
    );
    const length = chooseBytes(tour);
    const kinds = chooseKinds(tour, length);
    if (kinds.length < 2) return;
    await tour.step('touching normal and huge pages');
    countFaults(tour, kinds, length);
    await raceTouches(tour, kinds, length);
    await raceLoads(tour, kinds, length);
  },
};

interface Kind {
  label: string;
  hugePages: HugePages;
}

/** 128 MiB, or less where the memory is scarce. */
function chooseBytes(tour: Tour): number {
  const available = availableBytes();
  const length = Math.max(4, Math.min(128, Math.floor(available / 8 / MiB / 2) * 2)) * MiB;
  if (length < 128 * MiB) {
    tour.limit(
      `Only ${formatBytes(available)} of memory are free: ${formatBytes(length)} are compared.`,
    );
  }
  return length;
}

/** Normal pages, for a fair race kept from becoming huge, and the huge pages there are. */
function chooseKinds(tour: Tour, length: number): Kind[] {
  const kinds: Kind[] = [{ label: 'normal pages', hugePages: false }];
  const choice = limits().transparentHugePages.enabled;
  if (choice === null || choice === 'never') {
    tour.limit(
      "Transparent huge pages are switched off here (transparent_hugepage/enabled is 'never').",
    );
  } else kinds.unshift({ label: 'transparent huge pages', hugePages: 'transparent' });
  try {
    anonymous(length, { hugePages: '2MiB', populate: true }).close();
    kinds.unshift({ label: 'reserved huge pages', hugePages: '2MiB' });
  } catch (error) {
    tour.refused(`anonymous(${formatBytes(length)}, { hugePages: '2MiB' })`, error);
    tour.limit(
      `${formatBytes(length)} of huge pages are not reserved here: transparent ones are used.`,
    );
  }
  return kinds;
}

function make({ hugePages }: Kind, length: number): Mapping {
  const memory = anonymous(length, { hugePages });
  if (hugePages === false && limits().transparentHugePages.enabled !== null)
    memory.advise('nohugepage');
  return memory;
}

function touch({ bytes }: Mapping): number {
  let pages = 0;
  for (let position = 0; position < bytes.length; position += smallPage) {
    bytes[position] = 1;
    pages++;
  }
  return pages;
}

function countFaults(tour: Tour, kinds: Kind[], length: number): void {
  const rows = kinds.map((kind) => {
    using memory = make(kind, length);
    const { minor } = faultsOf(() => touch(memory));
    const { resident, huge } = memoryOf(memory);
    const isReserved = kind.hugePages === '2MiB';
    return [kind.label, length, isReserved ? huge : resident, huge, minor];
  });
  tour.table(
    [
      { label: '', unit: null },
      { label: 'mapped', unit: 'bytes' },
      { label: 'resident', unit: 'bytes' },
      { label: 'in huge pages', unit: 'bytes' },
      { label: 'page faults', unit: 'count' },
    ],
    rows,
  );
}

async function raceTouches(tour: Tour, kinds: Kind[], length: number): Promise<void> {
  const contestants = kinds.map((kind) => ({
    label: kind.label,
    work() {
      using memory = make(kind, length);
      return touch(memory);
    },
  }));
  await tour.race(`To map, touch and close ${formatBytes(length)}`, contestants);
}

async function raceLoads(tour: Tour, kinds: Kind[], length: number): Promise<void> {
  const memories = kinds.map((kind) => make(kind, length));
  for (const memory of memories) memory.bytes.fill(1);
  const contestants = memories.map((memory, i) => {
    const words = memory.view(Uint32Array);
    const mask = 2 ** Math.floor(Math.log2(words.length)) - 1;
    return {
      label: kinds[i]?.label ?? '',
      work() {
        let state = 1;
        let sum = 0;
        for (let n = 0; n < loads; n++) {
          state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
          // Each load waits for the one before, as in a tree or a list.
          state ^= (words[(state >>> 4) & mask] as number) & 1;
          sum = (sum + state) >>> 0;
        }
        return sum;
      },
    };
  });
  try {
    await tour.race('A dependent load at a random place, each', contestants, { operations: loads });
  } finally {
    for (const memory of memories) memory.close();
  }
}
