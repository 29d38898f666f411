/**
 * `memmap addr`: how an address becomes a page, and what the kernel knows of it.
 */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { pageSize } from '../../index.ts';
import {
  addressOf,
  addressOfFile,
  decodePageEntry,
  type MapEntry,
  mappingAt,
  type PageEntry,
  type PageWalk,
  type ProcessTranslation,
  readMaps,
  readPageEntries,
  readStatus,
  type SmapsEntry,
  translate,
  vmFlags,
} from '../../inspect/index.ts';
import { mappingName } from '../account.ts';
import type { CommandModule, Invocation } from '../command.ts';
import { CommandError, usage } from '../errors.ts';
import { Exit } from '../exit.ts';
import { count, printable, size } from '../format.ts';
import type { Output } from '../output.ts';
import { nameOf, processOf } from '../processes.ts';
import { parseAddress, parseSize } from '../size.ts';
import type { Column } from '../table.ts';

interface AddrOptions {
  bits?: boolean;
  range?: number;
  compare?: string;
}

function configure(command: Command): void {
  command
    .argument('<process>', 'its number, or the name of its command')
    .argument('<address>', 'hexadecimal; or FILE:OFFSET, a byte of a file that it maps')
    .description(
      `The way of an address through the page tables, the entry of its page, the frame, and what the
kernel notes of the frame. Frames are shown to root only: exit 3 without. Exit 1: nothing is
mapped there, as at addresses of the kernel, or the process has no memory.`,
    )
    .option('--bits', 'which bits of the address index which table')
    .option('--range <bytes>', 'each page of so many bytes from there on', parseSize)
    .option('--compare <pid>', 'the same address in another process');
}

const hex = (value: bigint) => `0x${value.toString(16)}`;

/** A byte of a file, or an address. */
function addressFor(pid: number, text: string): bigint {
  const [, file, offset] = /^(.+):((?:0x)?[0-9a-f.]+[a-z]*)$/i.exec(text) ?? [];
  if (file === undefined || offset === undefined) {
    const address = parseAddress(text);
    if (address !== null) return address;
    throw usage(
      `${printable(text)} is neither an address nor FILE:OFFSET`,
      'as 0x7f0000001000 or data.bin:4k',
    );
  }
  const bytes = BigInt(parseOffset(offset));
  const entries = readMaps(pid);
  const found = byteIn(entries, file, bytes);
  if (found !== null) return found;
  throw new CommandError(`${nameOf(pid)} does not map byte ${bytes} of ${printable(file)}`, {
    exitCode: Exit.no,
    hint: `memmap maps --group none --file ${printable(file)} ${pid}  shows what it maps of it`,
  });
}

/** By the file itself, and where there is none any more by its name. */
function byteIn(entries: readonly MapEntry[], file: string, bytes: bigint): bigint | null {
  try {
    const found = addressOfFile(entries, file, bytes);
    if (found !== null) return found;
  } catch {
    // deleted, a device, or a name of the kernel's
  }
  return addressOf(entries, resolve(file), bytes) ?? addressOf(entries, file, bytes);
}

function parseOffset(text: string): number {
  try {
    return parseSize(text);
  } catch {
    throw usage(`${printable(text)} is not an offset`, 'as 4096, 4k or 0x1000');
  }
}

/** `VA 0x7f..  PGD[255] PUD[211] PMD[485] PTE[0] +0x0` */
function walkLine(address: bigint, { indexes, offset }: PageWalk): string {
  const tables = indexes.map(({ name, index }) => `${name}[${index}]`).join(' ');
  return `${hex(address)}  ${tables} +0x${offset.toString(16)}`;
}

/** The bits of an address under the tables that they index. */
function bitLines(address: bigint, { indexes, offset, leaf }: PageWalk): string[] {
  const low = indexes.at(-1)?.shift ?? 0;
  const fields = [
    ...indexes.map(({ name, bits, index, shift }) => ({
      head: `${name} ${shift + bits - 1}-${shift}`,
      digits: index.toString(2).padStart(bits, '0'),
      value: String(index),
    })),
    {
      head: `offset ${low - 1}-0`,
      digits: offset.toString(2).padStart(low, '0'),
      value: `0x${offset.toString(16)}`,
    },
  ];
  const widths = fields.map(({ head, digits, value }) =>
    Math.max(head.length, digits.length, value.length),
  );
  const line = (key: 'head' | 'digits' | 'value') =>
    `  ${fields.map((field, i) => field[key].padEnd(widths[i] as number)).join(' ')}`.trimEnd();
  const sign =
    address >> 63n === 0n ? [] : ['  The upper bits are ones: an address of the kernel.'];
  const huge =
    leaf === 'PTE' ? [] : [`  The entry of the ${leaf} is the page itself: a huge page.`];
  return [line('head'), line('digits'), line('value'), ...sign, ...huge];
}

function entryText(entry: PageEntry): string {
  const words: string[] = [];
  if (entry.guard) words.push('guard page');
  else if (entry.swapped) words.push('in swap');
  else words.push(entry.present ? 'present' : 'not present');
  if (entry.present) {
    words.push(entry.file ? 'of a file or shared memory' : 'anonymous');
    words.push(
      entry.exclusive ? 'mapped by this process alone' : 'mapped by others too, or it may be',
    );
  }
  if (entry.softDirty) words.push('soft-dirty');
  if (entry.watched) words.push('watched for stores');
  if (entry.swap) words.push(`swap ${entry.swap.device}, offset ${hex(entry.swap.offset)}`);
  return `${hex(entry.raw)}: ${words.join(', ')}`;
}

function mappingText(mapping: NonNullable<ProcessTranslation['mapping']>): string {
  const { start, end, permissions, length } = mapping;
  const range = `${start.toString(16)}-${end.toString(16)}`;
  return `${range} ${permissions} ${size(length)} ${mappingName(mapping)}`;
}

/** Why a process has no memory at all; `null`: it has some. Told to everybody. */
function memorylessness(pid: number): string | null {
  const { virtual, state } = readStatus(pid);
  if (virtual !== undefined) return null;
  return state === 'Z' ? 'it has ended' : 'it is a thread of the kernel';
}

/** Why nothing is under an address, or a range; `null`: something is, or that may not be seen. */
function nothingness(pid: number, start: bigint, end = start + 1n): string | null {
  const why = memorylessness(pid);
  if (why !== null) return `${nameOf(pid)} has no memory: ${why}`;
  const entries = mappingsOf(pid);
  if (!entries || entries.some((entry) => entry.start < end && start < entry.end)) return null;
  return `nothing is mapped at ${hex(start)}${end > start + 1n ? `-${hex(end)}` : ''}`;
}

/** The same of what was looked at. Some addresses are of no process, whoever may look at it. */
function absence(found: ProcessTranslation): string | null {
  const { mapping, address, walk, levels } = found;
  if (mapping) return null;
  const isNobodys = address >> 63n === 1n || (walk === null && levels !== null);
  const none = isNobodys ? `nothing of a process is at ${hex(address)}` : null;
  return nothingness(found.pid as number, address) ?? none;
}

/** `null`: they may not be read. */
function mappingsOf(pid: number): MapEntry[] | null {
  try {
    return readMaps(pid);
  } catch {
    return null;
  }
}

/** What is above and below an address that nothing is mapped at. */
function neighbours(pid: number, address: bigint): string[] {
  const entries = mappingsOf(pid) ?? [];
  const below = entries.filter(({ end }) => end <= address).at(-1);
  const above = entries.find(({ start }) => start > address);
  return [
    ...(below ? [`below: ${mappingText(below)}`] : []),
    ...(above ? [`above: ${mappingText(above)}`] : []),
  ];
}

function flagNames(mapping: ProcessTranslation['mapping']): readonly string[] {
  return (mapping as SmapsEntry | null)?.flags ?? [];
}

/** VmFlags that the permissions tell already, or that every mapping has. */
const told = new Set(['rd', 'wr', 'ex', 'sh', 'mr', 'mw', 'me', 'ms']);

function show(found: ProcessTranslation, options: AddrOptions, out: Output): void {
  const { address, mapping, fileOffset, walk, entry, frame, physicalAddress } = found;
  const label = (text: string) => out.paint('dim', text.padEnd(9));
  const pid = found.pid as number;
  if (mapping) out.text(`${label('mapping')}${mappingText(mapping)}`);
  const flags = flagNames(mapping)
    .filter((flag) => !told.has(flag))
    .map((flag) => vmFlags[flag] ?? flag);
  if (flags.length > 0) out.paragraph(label('').padEnd(9), flags.join(', '));
  if (fileOffset !== null) out.text(`${label('file')}byte ${fileOffset} (${hex(fileOffset)})`);
  if (walk) {
    out.text(`${label('tables')}${out.paint('bold', walkLine(address, walk))}`);
    if (walk.leaf !== 'PTE') {
      const low = walk.indexes.at(-1)?.shift ?? 0;
      out.text(
        `${label('')}${walk.leaf} leaf: offset = low ${low} bits, a page of ${size(walk.pageBytes)}`,
      );
    }
    if (options.bits) out.text(...bitLines(address, walk));
    out.text(
      `${label('')}${out.paint('dim', 'values of upper entries: not exposed by this kernel')}`,
    );
  }
  if (entry) out.text(`${label('entry')}${entryText(entry)}`);
  if (entry?.present || (!entry && absence(found) === null)) {
    const at = frame === null ? '?' : hex(frame);
    const where = physicalAddress === null ? '?' : hex(physicalAddress);
    out.text(
      `${label('frame')}${at}, physical address ${where}, mapped ${count(found.mapcount)} times`,
    );
    showFrameFlags(found, out);
  }
  if (!mapping) out.text(...neighbours(pid, address).map((line) => label('') + line));
}

function showFrameFlags({ flags }: ProcessTranslation, out: Output): void {
  const names = flags === null ? '?' : flags.map(({ name }) => name).join(' | ');
  out.text(`${out.paint('dim', 'flags'.padEnd(9))}${names || 'none'}`);
  for (const { name, meaning } of flags ?? []) {
    out.text(out.paint('dim', `${' '.repeat(11)}${name.padEnd(15)}${meaning}`));
  }
}

/** What of the translation lacks for want of rights. */
function tellUnknown({ unknown }: ProcessTranslation, out: Output): void {
  const hints = new Set<string>();
  const isClosed = unknown.some(({ what }) => what === 'entry');
  for (const { what, why, hint } of unknown) {
    if (isClosed && what === 'page size') continue; // follows from it
    out.warn(`${what}: ${why}`);
    if (hint) hints.add(hint);
  }
  for (const hint of hints) out.hint(hint);
}

function record(found: ProcessTranslation) {
  const { mapping, flags, entry, walk, ...rest } = found;
  const { start, end, permissions, name, kind } = mapping ?? {};
  return {
    ...rest,
    page: walk?.pageBytes ?? null,
    walk,
    entry,
    flags: flags?.map(({ name: flag, bit, meaning }) => ({ name: flag, bit, meaning })) ?? null,
    mapping: mapping ? { start, end, permissions, kind, name, flags: flagNames(mapping) } : null,
  };
}

function plain(found: ProcessTranslation, out: Output): void {
  if (out.mode !== 'plain') return;
  const { address, frame, physicalAddress, mapcount, flags, entry } = found;
  const words = [frame, physicalAddress].map((value) => (value === null ? '?' : hex(value)));
  const names = flags === null ? '?' : flags.map(({ name }) => name).join('|') || '-';
  out.raw(
    [hex(address), entry ? hex(entry.raw) : '?', ...words, count(mapcount), names].join('\t'),
  );
}

type PageRow = { address: bigint; entry: PageEntry };
const mostPages = 2 ** 20;
const addressEnd = 1n << 64n;

/** Entries of pages; none of a process without memory, which the kernel calls no process. */
function entriesOf(pid: number, start: bigint, pages: number): BigUint64Array {
  return memorylessness(pid) === null ? readPageEntries(pid, start, pages) : new BigUint64Array(0);
}

/** Every page of a range. */
function showRange(pid: number, address: bigint, bytes: number, out: Output): number {
  const page = BigInt(pageSize);
  const start = address - (address % page);
  const pages = Math.ceil((Number(address - start) + bytes) / pageSize);
  if (pages > mostPages)
    throw usage(`${pages} pages are too many`, `--range ${mostPages * pageSize}`);
  const rows: PageRow[] = Array.from(entriesOf(pid, start, pages), (raw, index) => ({
    address: start + BigInt(index) * page,
    entry: decodePageEntry(raw),
  }));
  const frameText = ({ entry }: PageRow) =>
    entry.frame === null ? (entry.present ? '?' : '-') : hex(entry.frame);
  const columns: Column<PageRow>[] = [
    { label: 'ADDRESS', text: (row) => hex(row.address) },
    { label: 'ENTRY', text: ({ entry }) => hex(entry.raw) },
    { label: 'FRAME', text: frameText },
    {
      label: 'WHAT',
      align: 'left',
      text: ({ entry }) => entryText(entry).replace(/^0x\w+: /, ''),
    },
  ];
  out.table(columns, rows);
  out.document(
    {
      pid,
      address: start,
      pageSize,
      pages: rows.map(({ address: at, entry }) => ({ address: at, ...entry })),
      mapping: mappingRecordAt(pid, start),
    },
    'addr-range',
  );
  const end = start + BigInt(pages) * page;
  const none = nothingness(pid, start, end < addressEnd ? end : addressEnd);
  if (none !== null || rows.length === 0) {
    out.warn(none ?? 'the page belongs to the kernel, whose tables are not shown');
    return Exit.no;
  }
  const isHidden = rows.some(({ entry }) => entry.present && entry.frame === null);
  if (isHidden) {
    out.warn('the kernel hides frame numbers from this user');
    out.hint('run as root: CAP_SYS_ADMIN shows frames');
  }
  return isHidden ? Exit.denied : Exit.ok;
}

function mappingRecordAt(pid: number, address: bigint) {
  const mapping = mappingAt(readMaps(pid), address);
  return (
    mapping && {
      start: mapping.start,
      end: mapping.end,
      permissions: mapping.permissions,
      name: mapping.name,
    }
  );
}

/** How the page of another process compares with it. */
function comparison(left: ProcessTranslation, right: ProcessTranslation): string {
  if (!left.entry || !right.entry) return 'unknown';
  if (!left.entry.present || !right.entry.present) {
    if (left.entry.present) return 'only left';
    return right.entry.present ? 'only right' : 'neither';
  }
  if (left.frame !== null && right.frame !== null)
    return left.frame === right.frame ? 'same' : 'split';
  return left.entry.exclusive || right.entry.exclusive ? 'split' : 'unknown';
}

function run({ args, options, out }: Invocation<AddrOptions>): number {
  const pid = processOf(args[0] as string);
  const address = addressFor(pid, args[1] as string);
  if (options.range !== undefined) return showRange(pid, address, options.range, out);
  const found = translate(pid, address);
  out.text(`${out.paint('dim', 'process'.padEnd(9))}${nameOf(pid)}`);
  show(found, options, out);
  plain(found, out);
  const other =
    options.compare === undefined ? null : translate(processOf(options.compare), address);
  const verdict = other && comparison(found, other);
  if (other) {
    out.text('', `${out.paint('dim', 'process'.padEnd(9))}${nameOf(other.pid as number)}`);
    show(other, {}, out);
    plain(other, out);
    out.text('', `The pages of both: ${out.paint('bold', verdict as string)}`);
  }
  out.document({ ...record(found), compare: other ? { ...record(other), verdict } : null });
  return Math.max(verdictOf(found, out), other ? verdictOf(other, out) : Exit.ok);
}

/** Tells what is missing, and why. @returns The exit code. */
function verdictOf(found: ProcessTranslation, out: Output): number {
  tellUnknown(found, out);
  const none = absence(found);
  if (none !== null) {
    out.warn(none);
    return Exit.no;
  }
  return isDenied(found) ? Exit.denied : Exit.ok;
}

/** The page of the kernel that every process has (vsyscall) has no entry, whoever asks. */
function isDenied({ entry, frame, address }: ProcessTranslation): boolean {
  if (entry === null) return address >> 63n === 0n;
  return entry.present && frame === null;
}

export const addr: CommandModule = {
  configure,
  modes: ['json', 'plain'],
  examples: [
    ['memmap addr 4711 7f8e9de00000', 'one address'],
    ['memmap addr --bits 4711 data.bin:1M', 'a byte of a file that it maps'],
    ['memmap addr --range 64k 4711 7f8e9de00000', 'each page of 64 KiB'],
    ['memmap addr --compare 4712 4711 7f8e9de00000', 'is it the same page there?'],
  ],
  run,
};
