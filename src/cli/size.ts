/**
 * Sizes, counts, times and ranges as they are written on a command line.
 */
import { InvalidArgumentError } from 'commander';

const exponents: Record<string, number> = { '': 0, k: 1, m: 2, g: 3, t: 4, p: 5, e: 6 };

function refuse(text: string, expected: string): never {
  throw new InvalidArgumentError(`'${text}' is not ${expected}.`);
}

function checked(value: number, text: string): number {
  if (!Number.isSafeInteger(value)) refuse(text, 'a number of bytes below 8 PiB');
  return value;
}

/** `4096`, `4k`, `1.5G`, `2MiB` in powers of 1024; `4kB` in powers of 1000; `0x1000`. */
export function parseSize(text: string): number {
  if (/^0x[0-9a-f]+$/i.test(text)) return checked(Number(text), text);
  const match = /^(\d+(?:\.\d*)?|\.\d+)([kmgtpe]?)(i?b?)$/i.exec(text);
  if (!match) return refuse(text, 'a size such as 4096, 4k, 1.5G or 2MiB');
  const [, digits, letter = '', tail = ''] = match;
  const base = letter !== '' && tail.toLowerCase() === 'b' ? 1000 : 1024;
  if (letter === '' && tail.toLowerCase().startsWith('i')) refuse(text, 'a size');
  const exponent = exponents[letter.toLowerCase()] as number;
  return checked(Math.round(Number(digits) * base ** exponent), text);
}

/** Bytes a second: a size of at least one byte. */
export function parseRate(text: string): number {
  const value = parseSize(text);
  return value >= 1 ? value : refuse(text, 'a rate: nothing would ever come');
}

/** `100`, `100k`, `1.5M` in powers of 1000. */
export function parseCount(text: string): number {
  const match = /^(\d+(?:\.\d*)?|\.\d+)([kmg]?)$/i.exec(text);
  if (!match) return refuse(text, 'a number such as 100 or 100k');
  const value = Number(match[1]) * 1000 ** (exponents[(match[2] ?? '').toLowerCase()] as number);
  return checked(Math.round(value), text);
}

/** A whole number of at least 1. */
export function parsePositive(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : 0;
  return value >= 1 && Number.isSafeInteger(value) ? value : refuse(text, 'a number from 1 on');
}

/** How many parts a file is divided into. */
export function parseCells(text: string): number {
  const value = parsePositive(text);
  return value <= 65_536 ? value : refuse(text, 'a number of cells, 65536 at most');
}

const longestSeconds = 86_400;
const shortestSeconds = 0.01;

/** `0.5`, `.5`, `2`: seconds. */
export function parseSeconds(text: string): number {
  const value = /^(\d+(\.\d*)?|\.\d+)s?$/.test(text) ? Number.parseFloat(text) : Number.NaN;
  if (value >= shortestSeconds && value <= longestSeconds) return value;
  return refuse(text, `a number of seconds from ${shortestSeconds} to ${longestSeconds}`);
}

/** `90`, `90%`, `99.5`. */
export function parsePercent(text: string): number {
  const value = /^(\d+(\.\d*)?|\.\d+)%?$/.test(text) ? Number.parseFloat(text) : Number.NaN;
  return value >= 0 && value <= 100 ? value : refuse(text, 'a percentage from 0 to 100');
}

/** A part of a file in bytes. */
export interface ByteRange {
  readonly offset: number;
  /** Absent: to the end. */
  readonly length?: number;
}

/** `A-B`: from A up to, without, B. `A+LENGTH`. `A-`: to the end. */
export function parseRange(text: string): ByteRange {
  const match = /^([^-+]*)([-+])([^-+]*)$/.exec(text);
  if (!match || (match[2] === '+' && match[3] === '')) {
    return refuse(text, 'a range such as 1M-2M, 1M+64k or 1M-');
  }
  const [, first = '', sign, second = ''] = match;
  const offset = first === '' ? 0 : parseSize(first);
  if (second === '') return { offset };
  if (sign === '+') return { offset, length: parseSize(second) };
  const end = parseSize(second);
  if (end < offset) refuse(text, 'a range: it ends before it begins');
  return { offset, length: end - offset };
}

/** An address: hexadecimal, with or without `0x`. */
export function parseAddress(text: string): bigint | null {
  const digits = /^(?:0x)?([0-9a-f]{1,16})$/i.exec(text)?.[1];
  return digits === undefined ? null : BigInt(`0x${digits}`);
}

/** What options of both kinds cut from a file; what lies behind its end is left out. */
export function clip(
  range: ByteRange | undefined,
  size: number,
): { offset: number; length: number } {
  const offset = Math.min(range?.offset ?? 0, size);
  return { offset, length: Math.min(range?.length ?? Number.POSITIVE_INFINITY, size - offset) };
}
