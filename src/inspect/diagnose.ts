/**
 * Why something of memory mapping fails, or will: what a doctor asks.
 */
import { fileURLToPath } from 'node:url';
import { invalidArgument } from '../core/errors.ts';
import { integer, isUrl, object, oneOf } from '../core/validate.ts';
import { addressSpace } from './address-space.ts';
import { checkFile } from './checks-file.ts';
import { checkKernel } from './checks-kernel.ts';
import { checkLimits } from './checks-limits.ts';
import { type Check, check, type Needs, sizeInWords } from './diagnosis.ts';
import { limits } from './limits.ts';
import { readStatus } from './maps.ts';
import { checkProcess } from './proc.ts';
import { roomOf } from './room.ts';

const needNames = ['lock', 'map', 'maps', 'huge'] as const;

function readNeeds(needs: unknown): Needs {
  object('needs', needs);
  const read: Needs = {};
  for (const name of Object.keys(needs)) oneOf('the name of a need', name, needNames);
  for (const name of needNames) {
    const value = (needs as Needs)[name];
    if (value === undefined) continue;
    integer(`needs.${name}`, value);
    read[name] = value;
  }
  return read;
}

function processChecks(pid: number): Check[] {
  const status = readStatus(pid);
  const about = check('process', 'process', `${status.name} (${pid})`);
  try {
    const { total, locked, maximumMaps } = addressSpace(pid);
    return [
      about,
      check('process', 'readable', 'yes'),
      check(
        'process',
        'mappings',
        `${total.maps} of ${maximumMaps ?? 'unknown'} (vm.max_map_count)`,
      ),
      check('process', 'in memory', sizeInWords(total.resident), {
        why: `${sizeInWords(total.freeable)} can leave without swap and without writing`,
      }),
      check('process', 'locked', sizeInWords(locked)),
      check('process', 'in swap', sizeInWords(total.swap)),
    ];
  } catch (error) {
    const { code, hint = null } = error as { code?: string; hint?: string };
    const why = `its mappings may not be read (${code})`;
    const finding = { status: 'skip' as const, why, cure: hint, needsRoot: true };
    return [about, check('process', 'readable', 'no', finding)];
  }
}

/**
 * Looks at everything that mapping depends on: limits, memory, the kernel, and a file or a process.
 * @param target A path or `file:` URL, or the number of a process. Default: the system alone.
 * @param needs What is going to be asked for; checks fail that cannot give it.
 * @returns Lines to be read in this order; nothing here throws but wrong arguments and ESRCH.
 *
 * ```ts
 * const problems = diagnose('data.bin', { lock: 2 ** 30 }).filter((c) => c.status === 'fail');
 * ```
 */
export function diagnose(target?: string | URL | number, needs: Needs = {}): Check[] {
  const wanted = readNeeds(needs);
  if (target !== undefined && !['string', 'number'].includes(typeof target)) {
    if (!isUrl(target)) {
      throw invalidArgument('target', 'a path, a file URL or the number of a process', target);
    }
  }
  if (typeof target === 'number') checkProcess(target);
  const pid = typeof target === 'number' ? target : 'self';
  const room = roomOf(pid);
  const checks = [...checkLimits(limits(pid), room, wanted), ...checkKernel()];
  if (typeof target === 'number') checks.push(...processChecks(target));
  else if (target !== undefined) {
    checks.push(...checkFile(typeof target === 'string' ? target : fileURLToPath(target), room));
  }
  return checks;
}
