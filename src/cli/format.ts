/**
 * How numbers and lines look on a terminal. Text in, text out; nothing here knows a stream except
 * {@link paintFor}, which only asks it what it is.
 */
import picocolors from 'picocolors';

const { createColors } = picocolors;

/** `4 KiB`, `1.5 GiB`, `100 MiB`: binary units, three digits at most. */
export function formatBytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];
  let scaled = Math.abs(value);
  let unit = 0;
  while (scaled >= 1024 && unit < units.length - 1) {
    scaled /= 1024;
    unit++;
  }
  const sign = value < 0 ? '-' : '';
  return `${sign}${shorten(scaled)} ${units[unit]}`;
}

/** The same for the columns of a table: `4K`, `94.3M`, `1.5G`, `0`. */
export function formatSize(value: number): string {
  const units = ['', 'K', 'M', 'G', 'T', 'P', 'E'];
  let scaled = Math.abs(value);
  let unit = 0;
  while (scaled >= 999.5 && unit < units.length - 1) {
    scaled /= 1024;
    unit++;
  }
  const digits = unit === 0 || scaled >= 99.95 ? 0 : 1;
  return `${value < 0 ? '-' : ''}${Number(scaled.toFixed(digits))}${units[unit]}`;
}

/** `4096`, or `?`. */
export function count(value: number | null): string {
  return value === null ? '?' : String(value);
}

/** `94.3M`, or `?`. */
export function size(bytes: number | null): string {
  return bytes === null ? '?' : formatSize(bytes);
}

/** `100%` only of everything, and `0%` only of nothing: `99.9%`, `<0.1%`. */
export function formatPercent(part: number, whole: number): string {
  if (whole === 0) return '-';
  if (part === whole || part === 0) return part === 0 ? '0%' : '100%';
  const percent = Math.floor((part / whole) * 1000) / 10;
  return percent === 0 ? '<0.1%' : `${percent}%`;
}

/** `25,600` */
export function formatCount(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 1 });
}

/** `87 ns`, `1.9 us`, `23 ms`, `4.2 s` of a duration in milliseconds. */
export function formatDuration(milliseconds: number): string {
  const size = Math.abs(milliseconds);
  if (size < 1e-3) return `${shorten(milliseconds * 1e6)} ns`;
  if (size < 1) return `${shorten(milliseconds * 1e3)} us`;
  if (size < 1e3) return `${shorten(milliseconds)} ms`;
  return `${shorten(milliseconds / 1e3)} s`;
}

/** `0.84x`, `4.2x`, `1,070x` */
export function formatRatio(value: number): string {
  if (!Number.isFinite(value)) return '';
  return `${value < 10 ? Number(value.toPrecision(2)) : formatCount(Math.round(value))}x`;
}

/** At most three digits before the point, and one behind it where the number is small. */
function shorten(value: number): string {
  const size = Math.abs(value);
  return String(size < 10 ? Number(value.toFixed(1)) : Math.round(value));
}

const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** A bar of at most `width` cells; what is not nothing is seen. */
export function bar(value: number, maximum: number, width: number): string {
  if (!(value > 0) || !(maximum > 0) || width < 1) return '';
  const cells = Math.max(1, Math.round((Math.min(value / maximum, 1) * width * 8) | 0));
  return '█'.repeat(cells >> 3) + eighths[cells & 7];
}

/** Breaks text between words; a word that is longer than a line gets one of its own. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines;
}

/** What cannot be shown as it is on one line: a name may contain anything but a zero byte. */
export function printable(text: string): string {
  return text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\\]/g,
    (character) => {
      const code = character.codePointAt(0) as number;
      if (character === '\\') return '\\\\';
      if (character === '\n') return '\\n';
      if (character === '\t') return '\\t';
      return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`;
    },
  );
}

/** A name as a word of a shell: quoted where it has to be. */
export function shellWord(text: string): string {
  if (/^[\w@%+=:,./-]+$/.test(text)) return text;
  const shown = printable(text);
  const quoted = shown.replaceAll("'", "\\'");
  // With escapes only $'...' gives the name again (bash, zsh, POSIX.1-2024).
  return shown === text ? `'${text.replaceAll("'", "'\\''")}'` : `$'${quoted}'`;
}

/** A word in the width of a column; its end is what tells names apart. */
export function shortenMiddle(text: string, width: number): string {
  if (text.length <= width || width < 4) return text;
  const end = Math.ceil(((width - 1) * 2) / 3);
  return `${text.slice(0, width - 1 - end)}…${text.slice(text.length - end)}`;
}

const styles = ['bold', 'dim', 'red', 'green', 'yellow', 'cyan'] as const;
export type Style = (typeof styles)[number];
export type Paint = (style: Style, text: string) => string;
/** What `--color` takes. */
export const colorChoices = ['auto', 'always', 'never'] as const;
export type ColorChoice = (typeof colorChoices)[number];

/**
 * Colours for a terminal; elsewhere, and where NO_COLOR asks for it, the text as it is. What the
 * command line says counts more than the environment (no-color.org).
 */
export function paintFor(
  stream: { isTTY?: boolean | undefined },
  env: NodeJS.ProcessEnv = process.env,
  choice: ColorChoice = 'auto',
): Paint {
  const isWanted = Boolean(stream.isTTY) && !env.NO_COLOR && env.TERM !== 'dumb';
  const colors = createColors(choice === 'auto' ? isWanted : choice === 'always');
  return (style, text) => (text === '' ? '' : colors[style](text));
}
