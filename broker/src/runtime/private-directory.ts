/**
 * The one check that a directory may be trusted: it is a directory, belongs to us, and nobody else can write into it. Whoever could
 * would be able to put sockets, links and files of their own in the place of ours.
 */
import { lstatSync, type Stats, statSync } from 'node:fs';

const WRITABLE_BY_OTHERS = 0o022;

export interface TrustOptions {
  /** What the directory is to people, for example `runtime directory`. */
  readonly role: string;
  readonly uid: number;
  /** systemd makes a state directory a link into /var/lib/private; a link to a runtime directory is never ours. */
  readonly symlink: 'follow' | 'refuse';
}

/** @throws Error that names the path, what is wrong and what to do. */
export function requireTrustedDirectory(path: string, options: TrustOptions): Stats {
  const { role, uid, symlink } = options;
  const stats = symlink === 'follow' ? statSync(path) : lstatSync(path);
  if (stats.isSymbolicLink()) throw new Error(`${role} ${path} is a symbolic link; name the directory itself`);
  if (!stats.isDirectory()) throw new Error(`${role} ${path} is not a directory`);
  if (stats.uid !== uid) {
    throw new Error(`${role} ${path} belongs to uid ${stats.uid}, not to uid ${uid}; choose another`);
  }
  if ((stats.mode & WRITABLE_BY_OTHERS) !== 0) {
    const mode = (stats.mode & 0o7777).toString(8).padStart(4, '0');
    throw new Error(`${role} ${path} can be written by others (mode ${mode}); run: chmod go-w ${path}`);
  }
  return stats;
}
