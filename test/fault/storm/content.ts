/**
 * The file of the storm: each place has one byte that may ever be stored there, and one that may
 * not; a load gives the first, or zero where the file was cut.
 */

/** What the file holds at a place: 1 to 250. */
export function right(at: number): number {
  return 1 + ((Math.imul(at, 2654435761) >>> 24) % 250);
}

/** What is only ever stored where there may be no store. */
export function wrong(at: number): number {
  return 251 + (at % 5);
}

export function rightBytes(from: number, end: number): Buffer {
  const bytes = Buffer.alloc(end - from);
  for (let at = from; at < end; at++) bytes[at - from] = right(at);
  return bytes;
}

export function random(below: number): number {
  return Math.floor(Math.random() * below);
}

/** The first place where a buffer shows neither zero nor what is right; -1: none. */
export function firstWrong(bytes: Uint8Array, from = 0): number {
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    if (byte !== 0 && byte !== right(from + i)) return from + i;
  }
  return -1;
}
