/**
 * How numbers and lines look on a terminal. Text in, text out; nothing here knows a stream except
 * {@link paintFor}, which only asks it what it is.
 */

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

const styles = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
export type Paint = (style: keyof typeof styles, text: string) => string;

/** Colours for a terminal; elsewhere, and where NO_COLOR asks for it, the text as it is. */
export function paintFor(
  stream: { isTTY?: boolean | undefined },
  env: NodeJS.ProcessEnv = process.env,
): Paint {
  const isPlain = !stream.isTTY || Boolean(env.NO_COLOR) || env.TERM === 'dumb';
  if (isPlain) return (_style, text) => text;
  return (style, text) => (text === '' ? '' : `\u001b[${styles[style]}m${text}\u001b[0m`);
}
