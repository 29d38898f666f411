/**
 * /proc/PID/status: a process in words (fs/proc/array.c, fs/proc/task_mmu.c, task_mem).
 */
import { fieldsOf, pick } from './fields.ts';

const quantities = {
  VmPeak: 'peakVirtual',
  VmSize: 'virtual',
  VmLck: 'locked',
  VmPin: 'pinned',
  VmHWM: 'peakResident',
  VmRSS: 'resident',
  RssAnon: 'residentAnonymous',
  RssFile: 'residentFile',
  RssShmem: 'residentShared',
  VmData: 'data',
  VmStk: 'stack',
  VmExe: 'code',
  VmLib: 'libraries',
  VmPTE: 'pageTables',
  VmSwap: 'swapped',
  HugetlbPages: 'hugetlb',
  Threads: 'threads',
  THP_enabled: 'hugePagesEnabled',
  NSpid: 'pidInNamespace',
} as const;

/**
 * A process. Memory in bytes; what the kernel does not tell (older ones; a process that is a zombie
 * or of the kernel has no memory at all) is absent.
 */
export type ProcessStatus = {
  readonly [Name in (typeof quantities)[keyof typeof quantities]]?: number;
} & {
  /** The command's name, at most 15 bytes, with its escapes undone. */
  readonly name: string;
  readonly pid?: number;
  readonly parent?: number;
  /** `R`, `S`, `D`, `Z`, ... */
  readonly state?: string;
  /** Real, effective, saved and file system user. */
  readonly users?: readonly number[];
  /** Bits of the capabilities in effect. */
  readonly capabilities?: bigint;
};

/** Capabilities that matter to memory (include/uapi/linux/capability.h), by their bit. */
export const capabilityBits = {
  CAP_DAC_OVERRIDE: 1,
  CAP_DAC_READ_SEARCH: 2,
  CAP_FOWNER: 3,
  CAP_IPC_LOCK: 14,
  CAP_SYS_RAWIO: 17,
  CAP_SYS_PTRACE: 19,
  CAP_SYS_ADMIN: 21,
  CAP_SYS_NICE: 23,
  CAP_SYS_RESOURCE: 24,
} as const;

export type Capability = keyof typeof capabilityBits;

/** Whether a capability is among these. */
export function hasCapability(capabilities: bigint, capability: Capability): boolean {
  return ((capabilities >> BigInt(capabilityBits[capability])) & 1n) === 1n;
}

/** Reads the text. */
export function parseStatus(text: string): ProcessStatus {
  const fields = fieldsOf(text);
  const number = (name: string) => {
    const value = fields.get(name);
    return value === undefined || !/^\d+$/.test(value) ? undefined : Number(value);
  };
  const pid = number('Pid');
  const parent = number('PPid');
  const state = fields.get('State')?.[0];
  const users = fields.get('Uid')?.split(/\s+/).map(Number);
  const capabilities = fields.get('CapEff');
  const name = fields.get('Name') ?? '';
  return {
    // The kernel escapes newline and backslash here (string_escape_mem, ESCAPE_SPECIAL).
    name: name.replace(/\\([n\\])/g, (_, letter: string) => (letter === 'n' ? '\n' : '\\')),
    ...(pid === undefined ? {} : { pid }),
    ...(parent === undefined ? {} : { parent }),
    ...(state === undefined ? {} : { state }),
    ...(users === undefined ? {} : { users }),
    ...(capabilities === undefined ? {} : { capabilities: BigInt(`0x${capabilities}`) }),
    ...pick(fields, quantities),
  };
}
