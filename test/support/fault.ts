/**
 * What tests of faults share.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type FaultCode, FaultError, type Mapping } from 'memmap';

/** Runs what must throw a fault of this code; returns the fault. */
export function faultOf(code: FaultCode, run: () => unknown): FaultError {
  let result: unknown;
  try {
    result = run();
  } catch (error) {
    assert.ok(error instanceof FaultError, `not a fault: ${error}`);
    assert.equal(error.code, code, error.message);
    return error;
  }
  assert.fail(`no ${code}; the result is ${String(result)}`);
}

/** The fault that waits, by check(). */
export function pendingFault(mapping: Mapping, code: FaultCode): FaultError {
  return faultOf(code, () => mapping.check());
}

/** The number of mappings (VMAs) of this process. */
export function countMappings(): number {
  return readFileSync('/proc/self/maps', 'latin1').split('\n').length - 1;
}

/** A turn of the event loop, and enough of them that what is on its way has come. */
export async function turns(count = 20): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** Waits until it is so; the watchdog of the child ends what never is. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 1));
}
