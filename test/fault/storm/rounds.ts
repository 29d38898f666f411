/**
 * What each thread of the storm does over and over, with mappings of its own and a shared one.
 */
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { anonymous, FaultError, type MapOptions, type Mapping, map, pageSize } from 'memmap';
import { firstWrong, random, right, rightBytes, wrong } from './content.ts';

/** What a thread has met; counts by code. */
export interface Met {
  faults: number;
  reports: Record<string, number>;
}

/** Maps the whole file; when it is cut at this moment, tries again. */
export function mapWhole(path: string, length: number, options: MapOptions = {}): Mapping {
  for (;;) {
    try {
      return map(path, { ...options, length });
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'ERR_OUT_OF_RANGE', String(error));
    }
  }
}

const privateBytes = 32 * pageSize;

export class Rounds {
  readonly #mappings: Mapping[];
  readonly #writable: Mapping;
  readonly #readable: Mapping;
  readonly #copy: Mapping;
  readonly #fixed: Mapping;
  readonly #hidden: Mapping;
  readonly #shared: Mapping;
  readonly #content = rightBytes(0, privateBytes);
  readonly met: Met = { faults: 0, reports: {} };

  constructor(path: string, shared: Mapping) {
    const size = shared.byteLength;
    this.#writable = mapWhole(path, size, { access: 'write' });
    this.#readable = mapWhole(path, size);
    this.#copy = mapWhole(path, size, { access: 'copy' });
    this.#fixed = anonymous(privateBytes);
    this.#hidden = anonymous(privateBytes);
    this.#shared = shared;
    for (const mapping of [this.#fixed, this.#hidden]) this.#content.copy(mapping.bytes);
    this.#fixed.protect('read');
    this.#hidden.protect('none');
    this.#mappings = [this.#writable, this.#readable, this.#copy, shared];
    this.#mappings.push(this.#fixed, this.#hidden);
    for (const mapping of this.#mappings) mapping.on('fault', (fault) => this.#count(fault));
  }

  #count(error: unknown): void {
    if (!(error instanceof FaultError)) throw error;
    for (const fault of [error, ...error.others]) {
      this.met.faults += fault.count;
      this.met.reports[fault.code] = (this.met.reports[fault.code] ?? 0) + 1;
    }
  }

  /** Runs something that may tell faults; they are counted. */
  #counted(run: () => unknown): void {
    try {
      run();
    } catch (error) {
      this.#count(error);
    }
  }

  /** A round of loads and stores; a wrong byte is an error. */
  run(): void {
    this.#loadAndStore(this.#writable, true);
    this.#loadAndStore(this.#shared, true);
    this.#loadAndStore(this.#copy, true);
    this.#loadAndStore(this.#readable, false);
    this.#bulk(this.#mappings[random(4)] as Mapping);
    this.#counted(() => this.#storeWrong(this.#readable));
    this.#storeIntoPrivate(this.#fixed);
    this.#storeIntoPrivate(this.#hidden);
    for (const mapping of this.#mappings) this.#counted(() => mapping.check());
    if (random(20) === 0) this.#startWork();
  }

  #loadAndStore(mapping: Mapping, isWritable: boolean): void {
    const { bytes } = mapping;
    for (let i = 0; i < 200; i++) {
      const at = random(bytes.length);
      if (isWritable && random(2) === 0) bytes[at] = right(at);
      const byte = bytes[at] as number;
      if (byte !== 0 && byte !== right(at)) assert.fail(`${mapping.access}: ${byte} at ${at}`);
    }
  }

  #bulk(mapping: Mapping): void {
    const { bytes } = mapping;
    const at = random(bytes.length);
    const part = bytes.subarray(at, at + (64 << 10));
    assert.equal(firstWrong(Buffer.from(part), at), -1, mapping.access);
    crypto.createHash('md5').update(part).digest();
    part.indexOf('not there');
    const target = Buffer.alloc(10_000);
    this.#counted(() => {
      const count = mapping.read(target, at);
      assert.equal(firstWrong(target.subarray(0, count), at), -1, `read of ${mapping.access}`);
    });
    const source = rightBytes(at, Math.min(bytes.length, at + 5000));
    if (mapping.access !== 'read') this.#counted(() => mapping.write(source, at));
  }

  /** Stores what must never be seen after its report. */
  #storeWrong(mapping: Mapping): void {
    const { bytes } = mapping;
    const at = random(bytes.length);
    const end = Math.min(bytes.length, at + 1 + random(30 * pageSize));
    try {
      mapping.guard(() => {
        for (let i = at; i < end; i += 1 + random(2 * pageSize)) bytes[i] = wrong(i);
      });
    } finally {
      assert.equal(firstWrong(Buffer.from(bytes.subarray(at, end)), at), -1, 'after the report');
    }
  }

  #storeIntoPrivate(mapping: Mapping): void {
    const { bytes } = mapping;
    const isHidden = mapping === this.#hidden;
    this.#counted(() =>
      mapping.guard(() => {
        for (let i = 0; i < 5; i++) bytes[random(privateBytes)] = 255;
        if (isHidden) void bytes.indexOf(254);
      }),
    );
    if (isHidden && random(4) !== 0) return;
    if (isHidden) this.#counted(() => mapping.protect('read'));
    assert.ok(bytes.equals(this.#content), `${isHidden ? 'hidden' : 'fixed'} memory has changed`);
    if (isHidden) this.#counted(() => mapping.protect('none'));
  }

  #startWork(): void {
    const mapping = this.#writable;
    for (const work of [mapping.prefetch(), mapping.flush(), mapping.evict()]) {
      work.catch((error) => {
        if (error instanceof FaultError) this.#count(error);
        else assert.match(error.code, /^(EFAULT|ENOMEM|EIO|EBUSY)$/, String(error));
      });
    }
  }

  /** After the storm, when the file is whole again: every mapping must show it. */
  verify(): void {
    for (const mapping of this.#mappings) {
      this.#counted(() => mapping.check());
      mapping.check();
    }
    for (const mapping of [this.#writable, this.#readable, this.#shared]) {
      const expected = rightBytes(0, mapping.byteLength);
      assert.ok(mapping.bytes.equals(expected), `${mapping.access} does not show the file`);
    }
    assert.equal(firstWrong(this.#copy.bytes), -1, 'copy');
    this.#hidden.protect('read');
    assert.ok(this.#hidden.bytes.equals(this.#content), 'hidden');
    for (const mapping of this.#mappings) mapping.check();
  }
}
