import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { anonymous, type Mapping, map, pageSize } from 'memmap';
import { isEmulated } from '../support/machine.ts';
import { type Kind, Model } from '../support/model.ts';
import { pattern, temporaryFile } from '../support/temporary.ts';

const largest = 6 * pageSize;
const numRuns = isEmulated ? 10 : 150;

const length = fc.oneof(
  fc.nat(largest),
  fc
    .tuple(fc.nat(6), fc.integer({ min: -2, max: 2 }))
    .map(([n, d]) => Math.max(0, n * pageSize + d)),
);
const fraction = fc.double({ min: 0, max: 1, noNaN: true });
/** What can be done; places are fractions, because the length changes under them. */
const command = fc.oneof(
  fc.record({ verb: fc.constant('store'), at: fraction, size: fc.nat(2 * pageSize) }),
  fc.record({ verb: fc.constant('write'), at: fraction, size: fc.nat(2 * pageSize) }),
  fc.record({ verb: fc.constant('window'), at: fraction, size: fc.nat(2 * pageSize) }),
  fc.record({ verb: fc.constant('resize'), to: length }),
  fc.record({ verb: fc.constantFrom('flush', 'advise', 'evict', 'prefetch'), at: fraction }),
  fc.record({ verb: fc.constantFrom('lower', 'raise', 'discard'), at: fraction, to: fraction }),
);
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

class Run {
  readonly mapping: Mapping;
  readonly model: Model;
  #seed = 0;

  constructor(mapping: Mapping, model: Model) {
    this.mapping = mapping;
    this.model = model;
  }

  #bytes(size: number): Buffer {
    return pattern(size, ++this.#seed);
  }

  /** A part of the mapping that begins at a fraction of it. */
  #part(at: number, size: number): { offset: number; length: number } {
    const offset = Math.floor(at * this.model.length);
    return { offset, length: Math.min(size, this.model.length - offset) };
  }

  #pages(at: number, to: number): [number, number] {
    const ends = [at, to].map((fraction) => Math.round(fraction * this.model.pages));
    return ends.sort((a, b) => a - b) as [number, number];
  }

  async do(given: Command): Promise<void> {
    const { mapping, model } = this;
    if ('size' in given) return this.#touch(given.verb, this.#part(given.at, given.size));
    if (given.verb === 'resize' && typeof given.to === 'number') return this.#resize(given.to);
    const range = this.#part('at' in given ? given.at : 0, pageSize);
    const [first, end] = 'at' in given && 'to' in given ? this.#pages(given.at, given.to) : [0, 0];
    if ('to' in given && first === end) return;
    switch (given.verb) {
      case 'flush':
        if (model.kind !== 'copy') await mapping.flush(range);
        break;
      case 'advise':
        mapping.advise(this.#seed % 2 ? 'random' : 'normal', range);
        break;
      case 'evict':
      case 'prefetch':
        await mapping[given.verb](range);
        break;
      case 'discard':
        mapping.discard('dontneed', model.rangeOf(first, end));
        model.discard(first, end);
        break;
      default:
        if (model.kind === 'read') break;
        mapping.protect(given.verb === 'lower' ? 'read' : 'write', model.rangeOf(first, end));
        model.protect(first, end, given.verb === 'lower');
    }
  }

  #touch(verb: string, { offset, length: size }: { offset: number; length: number }): void {
    const { mapping, model } = this;
    if (verb === 'window') {
      const expected = model.content().subarray(offset, offset + size);
      assert.ok(mapping.window(offset, size).equals(expected), 'window');
      const target = Buffer.alloc(size);
      assert.equal(mapping.read(target, offset), size);
      assert.ok(target.equals(expected), 'read');
      return;
    }
    if (!model.isWritable(offset, size)) return;
    const bytes = this.#bytes(size);
    if (verb === 'store') mapping.bytes.set(bytes, offset);
    else assert.equal(mapping.write(bytes, offset), size);
    model.store(offset, bytes);
  }

  #resize(to: number): void {
    const { mapping, model } = this;
    if (to === model.length && model.kind === 'copy') return; // nothing to do, or refused
    const isBehind = model.kind === 'read' && model.offset + to > model.file.length;
    const isOver = mapping.capacity > 0 && to > mapping.capacity;
    if (model.kind === 'copy' || isBehind || isOver) {
      assert.throws(() => mapping.resize(to));
      return;
    }
    mapping.resize(to);
    model.resize(to);
  }

  check(): void {
    assert.equal(this.mapping.byteLength, this.model.length);
    assert.ok(this.mapping.bytes.equals(this.model.content()), 'bytes');
  }
}

const shape = fc.record({
  size: length,
  offset: fraction,
  length: fc.option(fraction, { nil: undefined }),
  hasCapacity: fc.boolean(),
  commands: fc.array(command, { maxLength: 30 }),
});
type Shape = typeof shape extends fc.Arbitrary<infer T> ? T : never;

function begin(kind: Kind, { size, hasCapacity, ...given }: Shape, shared: boolean): [Run, string] {
  const capacity = hasCapacity || shared ? 2 * largest : undefined;
  if (kind === 'anonymous') {
    const mapping = anonymous(size, { capacity, shared });
    return [new Run(mapping, new Model(kind, Buffer.alloc(size), 0, size, shared)), ''];
  }
  const path = temporaryFile(pattern(size));
  const any = Math.floor(given.offset * size);
  const offset = shared ? any - (any % pageSize) : any;
  const part = given.length === undefined ? undefined : Math.floor(given.length * (size - offset));
  const mapping = map(path, { access: kind, offset, length: part, capacity, shared });
  const model = new Model(kind, pattern(size), offset, part ?? size - offset, shared);
  return [new Run(mapping, model), path];
}

function isAsModel(kind: Kind, shared = false): Promise<void> {
  const property = fc.asyncProperty(shape, async (given) => {
    const [run, path] = begin(kind, given, shared);
    for (const each of given.commands) {
      await run.do(each);
      run.check();
    }
    if (kind === 'write') run.mapping.flushSync();
    run.mapping.close();
    if (path) assert.ok(readFileSync(path).equals(run.model.file), 'file');
  });
  return fc.assert(property, { numRuns });
}

for (const kind of ['read', 'write', 'copy', 'anonymous'] as const) {
  test(`${kind}: what is done to a mapping is done to its model`, () => isAsModel(kind));
  test(`${kind}, shared: the same`, () => isAsModel(kind, true));
}
