/**
 * A mapping in plain Buffers: the file or the memory, what private pages have changed of it, and
 * what each page may do. The oracle of test/property/mapping.test.ts.
 */
import { pageSize } from 'memmap';

export type Kind = 'read' | 'write' | 'copy' | 'anonymous';

export class Model {
  /** What is in the file; for anonymous memory, in the memory itself. */
  file: Buffer;
  length: number;
  readonly kind: Kind;
  readonly offset: number;
  /** Whether pages that are discarded come back as they were. */
  readonly isShared: boolean;
  /** Private pages of a copy, by their number from the first page that is mapped. */
  readonly #copied = new Map<number, Buffer>();
  readonly #readOnly = new Set<number>();

  constructor(kind: Kind, file: Buffer, offset: number, length: number, isShared: boolean) {
    this.kind = kind;
    this.isShared = isShared;
    this.file = file;
    this.offset = offset;
    this.length = length;
  }

  get #lead(): number {
    return this.offset % pageSize;
  }

  #pageOf(at: number): number {
    return Math.floor((this.#lead + at) / pageSize);
  }

  /** Where a page of the mapping begins in the file. */
  #pageStart(page: number): number {
    return this.offset - this.#lead + page * pageSize;
  }

  /** What the mapping shows. */
  content(): Buffer {
    const content = Buffer.from(this.file.subarray(this.offset, this.offset + this.length));
    for (const [page, bytes] of this.#copied) {
      const start = page * pageSize - this.#lead;
      for (let i = 0; i < pageSize; i++) {
        if (start + i >= 0 && start + i < this.length) content[start + i] = bytes[i] as number;
      }
    }
    return content;
  }

  isWritable(at: number, length: number): boolean {
    if (this.kind === 'read') return false;
    for (let i = at; i < at + length; i++) if (this.#readOnly.has(this.#pageOf(i))) return false;
    return true;
  }

  store(at: number, bytes: Buffer): void {
    if (this.kind !== 'copy') {
      bytes.copy(this.file, this.offset + at);
      return;
    }
    bytes.forEach((byte, i) => {
      const page = this.#pageOf(at + i);
      if (!this.#copied.has(page)) {
        const own = Buffer.alloc(pageSize);
        this.file.copy(own, 0, this.#pageStart(page), this.#pageStart(page + 1));
        this.#copied.set(page, own);
      }
      this.#copied.get(page)?.writeUInt8(byte, (this.#lead + at + i) % pageSize);
    });
  }

  /** Whole pages, from `first` to before `end`. */
  protect(first: number, end: number, isReadOnly: boolean): void {
    for (let page = first; page < end; page++) {
      if (isReadOnly) this.#readOnly.add(page);
      else this.#readOnly.delete(page);
    }
  }

  discard(first: number, end: number): void {
    for (let page = first; page < end; page++) {
      this.#copied.delete(page);
      if (this.kind !== 'anonymous' || this.isShared) continue;
      this.file.subarray(page * pageSize, (page + 1) * pageSize).fill(0);
    }
  }

  /** The file ends where the mapping does, unless it went on behind it. */
  resize(length: number): void {
    const isWhole = this.offset + this.length >= this.file.length;
    const end = this.offset + length;
    if (end > this.file.length) {
      this.file = Buffer.concat([this.file, Buffer.alloc(end - this.file.length)]);
    } else if (this.kind !== 'read' && isWhole) this.file = this.file.subarray(0, end);
    this.length = length;
    for (const page of [...this.#readOnly]) {
      if (page >= this.pages) this.#readOnly.delete(page);
    }
  }

  /** Pages that are mapped. */
  get pages(): number {
    return this.length === 0 ? 0 : Math.ceil((this.#lead + this.length) / pageSize);
  }

  /** The range of whole pages in bytes of the mapping. */
  rangeOf(first: number, end: number): { offset: number; length: number } {
    const place = (page: number) =>
      Math.min(Math.max(0, page * pageSize - this.#lead), this.length);
    return { offset: place(first), length: place(end) - place(first) };
  }
}
