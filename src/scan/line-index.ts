/**
 * Where the lines are, so that line n of a file of any size is found at once.
 *
 * The index is the number of newlines in each block of the mapping: line n is in the block that a
 * binary search finds, and there the engine passes over the newlines before it. Blocks are 64 KiB
 * and grow with the file, so that there are never more than a million.
 *
 * Saved it is a line of JSON that says which file it belongs to, and the counts, 32 bits each,
 * little-endian.
 */
import { createHash, randomUUID } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { native, Scan } from '../binding/native.ts';
import { invalidArgument, MemmapError, outOfRange, unsupported } from '../core/errors.ts';
import { integer, isUrl, object } from '../core/validate.ts';
import type { Mapping } from '../mapping/mapping.ts';
import { readWorkOptions, type WorkOptions } from '../mapping/work.ts';
import { lineEnd, newline, withoutReturn } from './lines.ts';
import { checkMapping, readSpan, readThreads, scan, scanSync } from './scan.ts';

export interface LineIndexOptions extends WorkOptions {
  /** Threads that share the pass, from 1 to 256. Default 1. */
  threads?: number | undefined;
}

/** The first line of a saved index. */
interface Header {
  readonly format: string;
  readonly blockBytes: number;
  readonly offset: number;
  readonly byteLength: number;
  readonly lineCount: number;
  /** Of the file, when the pass began; see {@link identify}. */
  readonly file: Record<string, string>;
  /** SHA-256 of the header without it, as JSON, and of the counts. */
  readonly checksum: string;
}

const making = Symbol('making');
const format = 'memmap line index 1';
const smallestBlock = 65_536;
const mostBlocks = 2 ** 20;

/** What changes when a file does, as far as the file system tells; undefined: there is no file. */
function identify(mapping: Mapping): Record<string, string> | undefined {
  if (mapping.fd < 0) return undefined;
  const answer = new BigInt64Array(4);
  native.identify(mapping, answer); // node:fs of Deno knows only descriptors that it has opened
  const [ino, size, mtimeNs, ctimeNs] = answer;
  return { ino: `${ino}`, size: `${size}`, mtimeNs: `${mtimeNs}`, ctimeNs: `${ctimeNs}` };
}

function stale(mapping: Mapping, state: string): MemmapError {
  const what = mapping.path ?? 'memory';
  return new MemmapError(
    'ERR_MEMMAP_STALE_INDEX',
    `Cannot use the line index of ${what}: ${state}`,
    {
      path: mapping.path ?? undefined,
      hint: 'build it again: LineIndex.build(mapping)',
    },
  );
}

function checksum(header: object, counts: Uint8Array): string {
  return createHash('sha256').update(JSON.stringify(header)).update(counts).digest('hex');
}

/** Bytes of a block: so large that there are not too many. */
function blockFor(byteLength: number): number {
  let blockBytes = smallestBlock;
  while (byteLength / blockBytes > mostBlocks) blockBytes *= 2;
  return blockBytes;
}

/** Whether the numbers can be those of a mapping; a file can say anything. */
function isPossible(
  { blockBytes, byteLength, lineCount }: Omit<Header, 'file' | 'checksum'>,
  counts: Buffer,
): boolean {
  if (blockBytes !== blockFor(byteLength)) return false;
  if (counts.length !== 4 * Math.ceil(byteLength / blockBytes)) return false;
  const numbers = decode(counts);
  const newlines = numbers.reduce((sum, each) => sum + each, 0);
  return (
    numbers.every((each) => each <= blockBytes) &&
    (lineCount === newlines || (lineCount === newlines + 1 && byteLength > newlines))
  );
}

/** The counts as they are saved. */
function encode(counts: Float64Array): Buffer {
  const bytes = Buffer.alloc(counts.length * 4);
  for (let i = 0; i < counts.length; i++) bytes.writeUInt32LE(counts[i] as number, i * 4);
  return bytes;
}

function decode(bytes: Buffer): Float64Array {
  const counts = new Float64Array(bytes.length / 4);
  for (let i = 0; i < counts.length; i++) counts[i] = bytes.readUInt32LE(i * 4);
  return counts;
}

/** The newlines before each block, and after the last one. */
function accumulate(counts: Float64Array): Float64Array {
  const before = new Float64Array(counts.length + 1);
  for (let i = 0; i < counts.length; i++) {
    before[i + 1] = (before[i] as number) + (counts[i] as number);
  }
  return before;
}

/** Lines by their number, from 0 on. Lines are those that `lines()` yields. */
export class LineIndex {
  /** Lines of the mapping. */
  readonly lineCount: number;
  readonly #mapping: Mapping;
  readonly #header: Omit<Header, 'file' | 'checksum'>;
  readonly #file: Record<string, string> | undefined;
  readonly #counts: Float64Array;
  readonly #before: Float64Array;

  /** @internal */
  constructor(
    key: symbol,
    mapping: Mapping,
    header: Omit<Header, 'file' | 'checksum'>,
    file: Record<string, string> | undefined,
    counts: Float64Array,
  ) {
    if (key !== making) throw new TypeError('Cannot construct a LineIndex: call LineIndex.build()');
    this.#mapping = mapping;
    this.#header = header;
    this.#file = file;
    this.#counts = counts;
    this.#before = accumulate(counts);
    this.lineCount = header.lineCount;
  }

  /**
   * Reads the whole mapping once, off the event loop.
   * @throws FaultError (rejects) when the file was cut meanwhile.
   */
  static async build(mapping: Mapping, options: LineIndexOptions = {}): Promise<LineIndex> {
    checkMapping(mapping);
    object('options', options);
    const span = readSpan('index', mapping, {});
    const threads = readThreads(options);
    const work = readWorkOptions(options);
    const file = identify(mapping);
    const byteLength = span.length;
    const blockBytes = blockFor(byteLength);
    const numbers = Math.ceil(byteLength / blockBytes);
    const request = { kind: Scan.blocks, threads, numbers, blockBytes };
    const counts =
      numbers === 0 ? new Float64Array(0) : (await scan(mapping, span, request, work)).numbers;
    let lineCount = counts.reduce((sum, each) => sum + each, 0);
    if (byteLength > 0) {
      const last = { offset: byteLength - 1, length: 1 };
      const { value } = await scan(mapping, last, { kind: Scan.count, pattern: newline });
      lineCount += 1 - value;
    }
    const header = { format, blockBytes, offset: mapping.offset, byteLength, lineCount };
    return new LineIndex(making, mapping, header, file, counts);
  }

  /**
   * Reads an index that was saved, of the same part of the same file.
   * @throws MemmapError (rejects) `ERR_MEMMAP_STALE_INDEX` when the file has changed since the index
   * was built, or the index is of another file or part, or damaged.
   */
  static async load(mapping: Mapping, path: string | URL): Promise<LineIndex> {
    checkMapping(mapping);
    const { byteLength } = mapping;
    mapping.check();
    const bytes = await readFile(path);
    const end = bytes.indexOf(10);
    let header: Header;
    try {
      header = JSON.parse(bytes.toString('utf8', 0, Math.max(end, 0)));
    } catch {
      throw stale(mapping, `${path} is not one`);
    }
    if (header?.format !== format) throw stale(mapping, `${path} is not '${format}'`);
    const { checksum: expected, ...signed } = header;
    const { file, ...rest } = signed;
    if (rest.offset !== mapping.offset || rest.byteLength !== byteLength) {
      const saved = `${rest.byteLength} bytes from ${rest.offset}`;
      throw stale(
        mapping,
        `it is of ${saved}, the mapping of ${byteLength} from ${mapping.offset}`,
      );
    }
    const now = identify(mapping);
    if (!now) throw unsupported('load a line index', 'the mapping is closed, or not of a file');
    for (const [name, value] of Object.entries(now)) {
      if (file?.[name] === value) continue;
      throw stale(mapping, `the file has changed (${name} was ${file?.[name]}, is ${value})`);
    }
    const counts = bytes.subarray(end + 1);
    if (checksum(signed, counts) !== expected || !isPossible(rest, counts)) {
      throw stale(mapping, `${path} is damaged`);
    }
    return new LineIndex(making, mapping, rest, file, decode(counts));
  }

  /**
   * Writes the index to a file, in place of what was there. Only for mappings of a file.
   * @throws MemmapError (rejects) `ERR_MEMMAP_STALE_INDEX` when the file has changed since.
   */
  async save(path: string | URL): Promise<void> {
    const file = identify(this.#mapping);
    if (!file || !this.#file) {
      throw unsupported('save a line index', 'the mapping is closed, or not of a file');
    }
    for (const [name, value] of Object.entries(file)) {
      if (this.#file[name] !== value) throw stale(this.#mapping, 'the file has changed meanwhile');
    }
    const counts = encode(this.#counts);
    const signed = { ...this.#header, file: this.#file };
    const header: Header = { ...signed, checksum: checksum(signed, counts) };
    const target = isUrl(path) ? fileURLToPath(path) : checkPath(path);
    const temporary = `${target}.${randomUUID()}`;
    try {
      await writeFile(
        temporary,
        Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), counts]),
      );
      await rename(temporary, target);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  /**
   * Line `n` as a Buffer over the mapping, without its terminator.
   * @throws RangeError behind the last line; MemmapError `ERR_MEMMAP_STALE_INDEX` when the text is
   * seen not to be the one that was indexed.
   */
  line(n: number): Buffer {
    const start = this.offset(n);
    const { byteLength } = this.#header;
    const end = lineEnd(this.#mapping, start, byteLength);
    const line = this.#mapping.window(start, end - start);
    return end === byteLength ? line : withoutReturn(line);
  }

  /** The byte of the mapping at which line `n` begins. */
  offset(n: number): number {
    integer('n', n);
    if (n >= this.lineCount) throw outOfRange('n', `>= 0 && < ${this.lineCount}`, n);
    this.#checkLength();
    if (n === 0) return 0;
    const block = this.#blockOf(n);
    const numbers = n - (this.#before[block] as number);
    const request = { kind: Scan.nth, pattern: newline, numbers };
    const { value } = scanSync(this.#mapping, this.#span(block), request);
    if (value < 0) throw stale(this.#mapping, `line ${n} is not where it was`);
    return value + 1;
  }

  /** The number of the line that holds a byte of the mapping; its terminator belongs to it. */
  lineAt(byteOffset: number): number {
    const { byteLength, blockBytes } = this.#header;
    integer('byteOffset', byteOffset, 0, Math.max(0, byteLength - 1));
    if (byteLength === 0)
      throw outOfRange('byteOffset', 'in the mapping, which is empty', byteOffset);
    this.#checkLength();
    const block = Math.floor(byteOffset / blockBytes);
    const start = block * blockBytes;
    const span = { offset: start, length: byteOffset - start };
    const { value } = scanSync(this.#mapping, span, { kind: Scan.count, pattern: newline });
    return (this.#before[block] as number) + value;
  }

  #checkLength(): void {
    const { byteLength } = this.#mapping;
    if (this.#mapping.closed) this.#mapping.check();
    if (byteLength === this.#header.byteLength) return;
    throw stale(
      this.#mapping,
      `it is of ${this.#header.byteLength} bytes, now there are ${byteLength}`,
    );
  }

  /** The block that holds the newline with this number, from 1 on. */
  #blockOf(number: number): number {
    let low = 0;
    let high = this.#counts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#before[middle] as number) < number) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #span(block: number) {
    const { byteLength, blockBytes } = this.#header;
    const offset = block * blockBytes;
    return { offset, length: Math.min(blockBytes, byteLength - offset) };
  }
}

function checkPath(path: unknown): string {
  if (typeof path === 'string') return path;
  throw invalidArgument('path', 'a path or a URL', path);
}
