/**
 * Reads of what processes have in memory that were begun ahead of the question. The kernel walks
 * all page tables for them, on another thread, while a program is still being loaded: so this
 * imports nothing but the addon.
 */
import { type NativeMaps, native } from '../binding/native.ts';
import type { ProcessId } from './proc.ts';

const begun = new Map<ProcessId, Promise<NativeMaps>>();

function begin(pid: ProcessId): Promise<NativeMaps> {
  return native.readMapsLater(`/proc/${pid}/smaps`);
}

/** Begins to read; whoever asks next for this process takes the answer, or what went wrong. */
export function readAhead(pid: number): void {
  const reading = begin(pid);
  reading.catch(() => {});
  begun.set(pid, reading);
}

/** What was begun, or a new read. @throws NativeFailure */
export function takeReading(pid: ProcessId): Promise<NativeMaps> {
  const reading = begun.get(pid) ?? begin(pid);
  begun.delete(pid);
  return reading;
}
