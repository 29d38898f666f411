/**
 * /proc/PID/limits: what a process may use (fs/proc/base.c, proc_pid_limits).
 *
 *   Limit                     Soft Limit           Hard Limit           Units
 *   Max locked memory         8388608              8388608              bytes
 */
import { linesOf } from './fields.ts';

/** The rows of the table, by their name as a resource (getrlimit(2)). */
const resources = {
  'Max cpu time': 'RLIMIT_CPU',
  'Max file size': 'RLIMIT_FSIZE',
  'Max data size': 'RLIMIT_DATA',
  'Max stack size': 'RLIMIT_STACK',
  'Max core file size': 'RLIMIT_CORE',
  'Max resident set': 'RLIMIT_RSS',
  'Max processes': 'RLIMIT_NPROC',
  'Max open files': 'RLIMIT_NOFILE',
  'Max locked memory': 'RLIMIT_MEMLOCK',
  'Max address space': 'RLIMIT_AS',
  'Max file locks': 'RLIMIT_LOCKS',
  'Max pending signals': 'RLIMIT_SIGPENDING',
  'Max msgqueue size': 'RLIMIT_MSGQUEUE',
  'Max nice priority': 'RLIMIT_NICE',
  'Max realtime priority': 'RLIMIT_RTPRIO',
  'Max realtime timeout': 'RLIMIT_RTTIME',
} as const;

export type Resource = (typeof resources)[keyof typeof resources];

/** A limit; `Infinity`: none. */
export interface ResourceLimit {
  readonly soft: number;
  /** How far the process itself may raise it. */
  readonly hard: number;
  /** `'bytes'`, `'files'`, ...; empty where the kernel names none. */
  readonly unit: string;
}

export type ResourceLimits = { readonly [Name in Resource]?: ResourceLimit };

function amount(text: string): number {
  return text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text);
}

/** Reads the table; rows that a kernel does not have are absent. */
export function parseLimits(text: string): ResourceLimits {
  const limits: { [Name in Resource]?: ResourceLimit } = {};
  for (const line of linesOf(text)) {
    const match = /^(Max [a-z ]*?)\s+(unlimited|\d+)\s+(unlimited|\d+)\s*(\w*)\s*$/.exec(line);
    const resource = match && resources[match[1] as keyof typeof resources];
    if (!resource) continue;
    const [, , soft, hard, unit] = match as unknown as [string, string, string, string, string];
    limits[resource] = { soft: amount(soft), hard: amount(hard), unit };
  }
  return limits;
}
