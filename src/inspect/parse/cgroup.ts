/**
 * /proc/PID/cgroup: the control groups of a process (kernel/cgroup/cgroup.c, proc_cgroup_show).
 *
 *   0::/user.slice            version 2: one hierarchy for all
 *   4:memory:/docker/abc      version 1: one for each controller, or for several
 */
import { linesOf } from './fields.ts';

/** Where the memory of a process is accounted. */
export interface MemoryGroup {
  readonly version: 1 | 2;
  /** From the root of the hierarchy. */
  readonly path: string;
}

/** The group that limits memory: version 1 where its controller is there. `null`: none. */
export function parseMemoryGroup(text: string): MemoryGroup | null {
  let unified: MemoryGroup | null = null;
  for (const line of linesOf(text)) {
    const match = /^(\d+):([^:]*):([^\n]*)$/.exec(line);
    if (!match) continue;
    const [, id, controllers, path] = match as unknown as [string, string, string, string];
    if (controllers.split(',').includes('memory')) return { version: 1, path };
    if (id === '0' && controllers === '') unified = { version: 2, path };
  }
  return unified;
}
