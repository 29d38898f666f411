/**
 * /proc/PID/mountinfo: what is mounted where (fs/proc_namespace.c, show_mountinfo;
 * proc_pid_mountinfo(5)).
 *
 *   36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
 */
import { linesOf, unescapeOctal } from './fields.ts';

/** A mount. */
export interface Mount {
  readonly id: number;
  readonly parent: number;
  readonly device: { readonly major: number; readonly minor: number };
  /** The directory of the file system that is seen at `point`. */
  readonly root: string;
  readonly point: string;
  readonly options: readonly string[];
  /** `'ext4'`, `'tmpfs'`, `'fuse.sshfs'`, ... */
  readonly type: string;
  readonly source: string;
  readonly superOptions: readonly string[];
}

const escaped = ' \t\n\\#';

/** Reads the text; lines that are none are passed over. */
export function parseMountinfo(text: string): Mount[] {
  return linesOf(text).flatMap((line) => {
    const [left, right] = line.split(' - ', 2);
    const [id, parent, device, root, point, options] = (left ?? '').split(' ');
    const [type, source, superOptions] = (right ?? '').split(' ');
    const [major, minor] = (device ?? '').split(':').map(Number);
    if (!point || type === undefined || minor === undefined) return [];
    return {
      id: Number(id),
      parent: Number(parent),
      device: { major: major as number, minor },
      root: unescapeOctal(root as string, escaped),
      point: unescapeOctal(point, escaped),
      options: (options ?? '').split(','),
      type: unescapeOctal(type, escaped),
      source: unescapeOctal(source ?? '', escaped),
      superOptions: (superOptions ?? '').split(','),
    };
  });
}

/** The mount that a path, absolute and without links, lies in: of several the last one made. */
export function mountOf(mounts: readonly Mount[], path: string): Mount | null {
  let found: Mount | null = null;
  for (const mount of mounts) {
    const prefix = mount.point === '/' ? '/' : `${mount.point}/`;
    const isAbove = path === mount.point || path.startsWith(prefix);
    if (isAbove && mount.point.length >= (found?.point.length ?? 0)) found = mount;
  }
  return found;
}
