/**
 * The directory of temporary files, which goes away however the tour ends.
 */
import { mkdirSync, mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatBytes } from '../format.ts';

/** Bytes that the chapters have on the disk at once, and some to spare. */
const neededBytes = 256 * 2 ** 20;
/** TMPFS_MAGIC of linux/magic.h */
const tmpfsMagic = 0x01021994;

/** Why there is no place for temporary files, in words for the user. */
export class WorkspaceError extends Error {
  readonly hint = 'choose another directory: TMPDIR=/var/tmp npm start';
}

const causes: Record<string, string> = {
  EACCES: 'permission denied',
  EDQUOT: 'the quota is used up',
  ENOENT: 'there is no such directory',
  ENOSPC: 'no space left on the device',
  EROFS: 'the file system is read-only',
};

export class Workspace {
  readonly directory: string;
  readonly isTmpfs: boolean;
  readonly #remove = () => this.remove();

  constructor(parent = tmpdir()) {
    try {
      const { bavail, bsize, type } = statfsSync(parent);
      this.isTmpfs = type === tmpfsMagic;
      if (bavail * bsize < neededBytes) {
        throw new WorkspaceError(
          `Cannot run the tour in ${parent}: ${formatBytes(bavail * bsize)} are free, ` +
            `and its files need ${formatBytes(neededBytes)}`,
        );
      }
      this.directory = mkdtempSync(join(parent, 'memmap-tour-'));
    } catch (error) {
      if (!(error instanceof Error) || !('code' in error)) throw error;
      const code = String(error.code);
      throw new WorkspaceError(
        `Cannot make a temporary directory in ${parent}: ${causes[code] ?? error.message} (${code})`,
      );
    }
    process.once('exit', this.#remove);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      const end = () => {
        this.remove();
        // Listened to until here: Ctrl-C comes twice where npm passes it on. Now it ends us.
        process.off(signal, end);
        process.kill(process.pid, signal);
      };
      process.on(signal, end);
    }
  }

  /** A directory of its own for one chapter. */
  enter(name: string): string {
    const directory = join(this.directory, name);
    mkdirSync(directory);
    return directory;
  }

  remove(): void {
    process.off('exit', this.#remove);
    rmSync(this.directory, { recursive: true, force: true });
  }
}
