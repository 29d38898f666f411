import { closeSync, openSync, writeFileSync } from 'node:fs';
import { anonymous, type Mapping, map } from '../../../index.ts';
import { describeError } from '../../errors.ts';
import type { Chapter, Tour } from '../chapter.ts';
import { memoryOf } from '../system.ts';

export const protection: Chapter = {
  name: 'protection',
  title: 'Protecting pages: mprotect',
  about:
    'What pages may do can change while they are mapped. The documents advise the least right: ' +
    'read-only, raised for the moment of a change. A right never exceeds that of the file.',
  async run(tour) {
    tour.code(
      "memory.protect('read');                         // mprotect(PROT_READ)",
      "memory.withAccess('write', () => bytes[0]++);   // raised for one function, then put back",
    );
    await tour.step('protecting pages');
    changeRights(tour);
    respectFile(tour);
  },
};

function changeRights(tour: Tour): void {
  using memory = anonymous(1 << 16);
  const { bytes } = memory;
  bytes[0] = 1;
  const rows: (string | null)[][] = [];
  const look = (done: string) => {
    const permissions = memoryOf(memory).permissions;
    rows.push([done, permissions ?? 'unknown', storeInto(memory), String(bytes[0])]);
  };
  look('anonymous(65536)');
  memory.protect('read');
  look("protect('read')");
  memory.withAccess('write', () => {
    look("  withAccess('write', ...)");
  });
  look('  after it');
  memory.protect('write');
  look("protect('write')");
  tour.table(
    ['', 'maps', 'a store of 1 more', 'byte 0'].map((label) => ({ label, unit: null })),
    rows,
  );
  if (bytes[0] !== 4) throw new Error(`Cannot trust the protection: byte 0 is ${bytes[0]}, not 4`);
}

/** Adds one to byte 0; tells what became of the store. */
function storeInto(memory: Mapping): string {
  try {
    memory.guard(({ bytes }) => {
      bytes[0] = (bytes[0] as number) + 1;
    });
    return 'done';
  } catch (error) {
    return describeError(error).code ?? 'Error';
  }
}

function respectFile(tour: Tour): void {
  const path = tour.path('readonly.txt');
  writeFileSync(path, 'read only');
  const fd = openSync(path, 'r');
  tour.refusal("map(openSync(path, 'r'), { access: 'write' })", () => map(fd, { access: 'write' }));
  using file = map(fd);
  closeSync(fd);
  tour.refusal("map(path).protect('write')", () => file.protect('write'));
  tour.refusal("memory.protect('read', { offset: 100, length: 50 })", () => {
    using memory = anonymous(1 << 16);
    memory.protect('read', { offset: 100, length: 50 });
  });
}
