/**
 * Readers of the texts of /proc that the tour looks at. Text in, values out: proc(5) describes them.
 */

/** Rows like `VmRSS:   1234 kB` or `HugePages_Total: 0`: amounts in kB as bytes, others as they are. */
export function parseFields(text: string): Map<string, number> {
  const fields = new Map<string, number>();
  for (const [, name, amount, unit] of text.matchAll(/^(\S+):\s+(\d+)( kB)?\s*$/gm)) {
    fields.set(name as string, Number(amount) * (unit ? 1024 : 1));
  }
  return fields;
}

/** One area of /proc/PID/smaps. */
export interface Area {
  start: bigint;
  end: bigint;
  /** `rw-p` */
  permissions: string;
  fields: Map<string, number>;
}

export function parseSmaps(text: string): Area[] {
  const heads = [...text.matchAll(/^([0-9a-f]+)-([0-9a-f]+) ([rwxsp-]{4}) .*$/gm)];
  return heads.map((head, i) => ({
    start: BigInt(`0x${head[1]}`),
    end: BigInt(`0x${head[2]}`),
    permissions: head[3] as string,
    fields: parseFields(text.slice(head.index + head[0].length, heads[i + 1]?.index)),
  }));
}

/** The areas that have a byte in [address, address + length). */
export function areasOf(areas: Area[], address: bigint, length: number): Area[] {
  const end = address + BigInt(length);
  return areas.filter((area) => area.start < end && area.end > address);
}

export function sumOf(areas: Area[], field: string): number {
  return areas.reduce((sum, area) => sum + (area.fields.get(field) ?? 0), 0);
}

/** The soft limit in a row of /proc/PID/limits; undefined: there is no such row. */
export function parseLimit(text: string, name: string): number | undefined {
  const row = text.split('\n').find((line) => line.startsWith(`${name} `));
  const soft = row?.slice(name.length).trim().split(/\s+/)[0];
  if (soft === undefined) return undefined;
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}

/** Whether the effective capabilities in /proc/PID/status have this bit (linux/capability.h). */
export function hasCapability(status: string, bit: number): boolean {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1];
  return mask !== undefined && ((BigInt(`0x${mask}`) >> BigInt(bit)) & 1n) === 1n;
}

/** The choice in brackets: `madvise` of `always [madvise] never`. */
export function parseChoice(text: string): string | null {
  return /\[(\w+)\]/.exec(text)?.[1] ?? null;
}
