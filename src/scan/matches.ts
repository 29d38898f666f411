/**
 * Regular expressions over text of any size, a window of whole lines at a time.
 */
import { isUtf8 } from 'node:buffer';
import { types } from 'node:util';
import { Scan } from '../binding/native.ts';
import { invalidArgument, MemmapError, outOfRange } from '../core/errors.ts';
import type { Span } from '../core/range.ts';
import { integer, oneOf } from '../core/validate.ts';
import type { Mapping } from '../mapping/mapping.ts';
import { lineEnd, newline } from './lines.ts';
import { checkMapping, checkSound, readSpan, type ScanRange, scanSync } from './scan.ts';

export interface MatchesOptions extends ScanRange {
  /** What the bytes are: `'latin1'` takes any bytes as they are. Default `'utf8'`. */
  encoding?: 'utf8' | 'latin1' | undefined;
  /** Bytes that are looked at together; rounded up to whole lines. Default 1 MiB. */
  windowLength?: number | undefined;
}

/** Where an expression matched. */
export interface Match {
  /** Byte of the mapping at which it begins. */
  offset: number;
  /** Bytes that it covers. */
  byteLength: number;
  /** What `RegExp.exec` gives; its `index` and `input` are those of the window. */
  match: RegExpExecArray;
}

type Encoding = 'utf8' | 'latin1';

function readExpression(expression: unknown): RegExp {
  if (!types.isRegExp(expression)) {
    throw invalidArgument('expression', 'an instance of RegExp', expression);
  }
  if (expression.sticky) {
    throw invalidArgument(
      'expression',
      'without the flag y, which has no place to stick to',
      expression,
    );
  }
  const flags = new Set([...expression.flags, 'g', 'm']);
  return new RegExp(expression.source, [...flags].join(''));
}

/**
 * Where a regular expression matches, lazily, in windows of whole lines; `^` and `$` are the ends
 * of lines. A match never reaches across the end of a window: expressions that match within a line
 * see everything, those that match newlines miss what lies across. Runs on the calling thread.
 *
 * ```ts
 * for (const { offset, match } of matches(mapping, /user=(\w+)/)) console.log(offset, match[1]);
 * ```
 * @throws MemmapError `ERR_MEMMAP_ENCODING` where the text is not UTF-8; RangeError on a line that
 * is longer than a string can be; FaultError when the file was cut.
 */
export function matches(
  mapping: Mapping,
  expression: RegExp,
  options: MatchesOptions = {},
): Generator<Match, void, undefined> {
  checkMapping(mapping);
  const own = readExpression(expression);
  const span = readSpan('search', mapping, options);
  const { encoding = 'utf8', windowLength = 2 ** 20 } = options;
  oneOf('options.encoding', encoding, ['utf8', 'latin1']);
  integer('options.windowLength', windowLength, 1, 2 ** 28);
  return matchesOf(mapping, own, span, encoding, windowLength);
}

function* matchesOf(
  mapping: Mapping,
  expression: RegExp,
  { offset, length }: Span,
  encoding: Encoding,
  windowLength: number,
): Generator<Match, void, undefined> {
  const end = offset + length;
  for (let at = offset; at < end; ) {
    const stop = windowEnd(mapping, at, end, windowLength);
    const bytes = mapping.window(at, stop - at);
    const text = decode(mapping, bytes, at, encoding);
    checkSound(mapping, stop);
    yield* matchesIn(text, at, expression, encoding === 'latin1' || text.length === bytes.length);
    at = stop;
  }
}

/** The last line border within the window, or the end of the line that is longer than it. */
function windowEnd(mapping: Mapping, at: number, end: number, length: number): number {
  if (end - at <= length) return end;
  const span = { offset: at, length };
  const { value } = scanSync(mapping, span, { kind: Scan.last, pattern: newline });
  return value < 0 ? Math.min(lineEnd(mapping, at + length, end) + 1, end) : value + 1;
}

function decode(mapping: Mapping, bytes: Buffer, at: number, encoding: Encoding): string {
  if (encoding === 'utf8' && !isUtf8(bytes)) {
    const where = `bytes ${at} to ${at + bytes.length} of ${mapping.path ?? 'memory'}`;
    throw new MemmapError('ERR_MEMMAP_ENCODING', `Cannot search ${where}: they are not UTF-8`, {
      path: mapping.path ?? undefined,
      hint: "pass encoding: 'latin1' to match the bytes as they are",
    });
  }
  try {
    return bytes.toString(encoding);
  } catch (cause) {
    const error = outOfRange('options.windowLength', 'so that a string holds a line', bytes.length);
    error.cause = cause;
    throw error;
  }
}

function* matchesIn(
  text: string,
  at: number,
  expression: RegExp,
  isBytes: boolean,
): Generator<Match, void, undefined> {
  let done = 0;
  let offset = at;
  for (const match of text.matchAll(expression)) {
    // Behind the final newline of a window is where the next one begins.
    if (match.index === text.length && match[0] === '' && text.endsWith('\n')) break;
    offset += isBytes ? match.index - done : Buffer.byteLength(text.slice(done, match.index));
    done = match.index;
    const byteLength = isBytes ? match[0].length : Buffer.byteLength(match[0]);
    yield { offset, byteLength, match };
  }
}
