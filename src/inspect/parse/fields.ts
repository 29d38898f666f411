/**
 * What the texts of /proc have in common: lines of `name: value`, and numbers with units.
 */

/** The lines of a text that say something. */
export function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line.length > 0);
}

/** `name: value` lines by name; lines of another form are passed over. */
export function fieldsOf(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of linesOf(text)) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
  }
  return fields;
}

/** A number, in bytes where the kernel says kB (by which it means KiB); `undefined`: none. */
export function quantity(value: string | undefined): number | undefined {
  const match = value === undefined ? null : /^(\d+)(?:\s*(kB))?$/.exec(value);
  if (!match) return undefined;
  return Number(match[1]) * (match[2] ? 1024 : 1);
}

/** The names of `table` that the text has, under the names they have here. */
export function pick<Name extends string>(
  fields: Map<string, string>,
  table: Readonly<Record<string, Name>>,
): Partial<Record<Name, number>> {
  const picked: Partial<Record<Name, number>> = {};
  for (const [key, name] of Object.entries(table)) {
    const value = quantity(fields.get(key));
    if (value !== undefined) picked[name] = value;
  }
  return picked;
}

/** Undoes the kernel's escapes (fs/seq_file.c, mangle_path) of the characters that are given. */
export function unescapeOctal(text: string, characters: string): string {
  return text.replace(/\\([0-7]{3})/g, (whole, digits: string) => {
    const character = String.fromCharCode(Number.parseInt(digits, 8));
    return characters.includes(character) ? character : whole;
  });
}
