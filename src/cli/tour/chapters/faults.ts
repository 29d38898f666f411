import { truncateSync, writeFileSync } from 'node:fs';
import { anonymous, FaultError, type Mapping, map } from '../../../index.ts';
import type { Chapter, Tour } from '../chapter.ts';

export const faults: Chapter = {
  name: 'faults',
  title: 'Faults: what would have been a crash',
  about:
    'A load behind the end of a file that was cut, a store to a read-only page: in C, and in ' +
    'other libraries, the process dies by SIGBUS or SIGSEGV. Here they are errors.',
  async run(tour) {
    tour.code(
      'file.guard(() => parse(file.bytes));            // throws the FaultError it met',
      "file.on('fault', (error) => ...);               // or on the next turn of the event loop",
      'file.read(target, position);                    // or a copy that cannot fault: a short count',
    );
    await tour.step('cutting a file that is mapped');
    const rows = [
      cutFile(tour),
      storeToReadOnly(tour),
      touchForbidden(),
      await useAfterClose(tour),
    ];
    tour.table(
      ['what happened', 'in C', 'here', 'loads gave'].map((label) => ({ label, unit: null })),
      rows,
    );
    await hearEvent(tour);
    tour.fact(
      'this process',
      'runs on',
      null,
      `process ${process.pid}, ${rows.length + 1} faults later`,
    );
  },
};

/** Runs `work`, which must fault with `code`. */
function fault(mapping: Mapping, code: string, work: (bytes: Buffer) => void): FaultError {
  try {
    mapping.guard(() => work(mapping.bytes));
  } catch (error) {
    if (error instanceof FaultError && error.code === code) return error;
    throw error;
  }
  throw new Error(`Cannot see the fault ${code}: nothing was thrown`);
}

function cutFile(tour: Tour): string[] {
  const path = tour.path('cut');
  writeFileSync(path, Buffer.alloc(1 << 16, 7));
  using file = map(path);
  const { pageSize } = file;
  let loaded = -1;
  truncateSync(path, pageSize);
  const error = fault(file, 'ERR_MEMMAP_TRUNCATED', (bytes) => {
    loaded = bytes[3 * pageSize] as number;
  });
  const copied = file.read(Buffer.alloc(100), pageSize - 30);
  writeFileSync(path, Buffer.alloc(1 << 16, 9), { flag: 'r+' });
  const again = file.bytes[3 * pageSize];
  tour.fact(
    'the fault knows its place',
    `byte ${error.offset}`,
    null,
    error.message.replace(path, 'the file'),
  );
  tour.fact('read() of 100 bytes over the new end', copied, 'bytes', 'a short count, no fault');
  tour.fact('when the file has grown again', `byte is ${again}`, null, 'its real bytes are back');
  if (copied !== 30 || again !== 9) throw new Error('Cannot trust the mapping after a fault');
  return ['load, file was cut', 'SIGBUS', error.code, String(loaded)];
}

function storeToReadOnly(tour: Tour): string[] {
  const path = tour.path('read-only');
  writeFileSync(path, 'abc');
  using file = map(path);
  const error = fault(file, 'ERR_MEMMAP_READ_ONLY', (bytes) => {
    bytes[0] = 0x58;
  });
  return ["store, access 'read'", 'SIGSEGV', error.code, `'${file.bytes}', as before`];
}

function touchForbidden(): string[] {
  using memory = anonymous(1 << 16);
  memory.bytes[0] = 7;
  memory.protect('none');
  let loaded = -1;
  const error = fault(memory, 'ERR_MEMMAP_NO_ACCESS', (bytes) => {
    loaded = bytes[0] as number;
  });
  memory.protect('write');
  return [
    "load, protect('none')",
    'SIGSEGV',
    error.code,
    `${loaded}; later ${memory.bytes[0]}, kept`,
  ];
}

/** A SharedArrayBuffer cannot be detached: what was closed stays in reach of JavaScript. */
async function useAfterClose(tour: Tour): Promise<string[]> {
  using plain = anonymous(100);
  const { bytes } = plain;
  plain.close();
  tour.fact(
    'bytes after close()',
    `${bytes.length} bytes`,
    null,
    'detached; in C a dangling pointer',
  );
  const shared = anonymous(100, { shared: true });
  const view = shared.view(Uint8Array);
  view[0] = 7;
  shared.close();
  const heard = nextFault(shared);
  view[0] = 8;
  const error = await heard;
  return ['store, shared, closed', 'SIGSEGV', error.code, String(view[0])];
}

function nextFault(mapping: Mapping): Promise<FaultError> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error("Cannot hear a 'fault' event: none came")),
      5000,
    );
    mapping.once('fault', (error) => {
      clearTimeout(timer);
      resolve(error);
    });
  });
}

async function hearEvent(tour: Tour): Promise<void> {
  const path = tour.path('event');
  writeFileSync(path, 'abc');
  using file = map(path);
  const heard = nextFault(file);
  file.bytes[1] = 0x58;
  const { code, access, offset } = await heard;
  tour.fact("the 'fault' event", code, null, `${access} of byte ${offset}, without a guard`);
}
