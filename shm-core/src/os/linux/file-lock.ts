/** Advisory locks on files, held by the descriptor: closing it, or dying, gives the lock back. */
import { constants as fsConstants, fstatSync } from 'node:fs';
import { constants } from 'node:os';
import type { OwnedFd } from '../os.ts';
import { ownedFd } from './fd.ts';
import { lastErrno, libc, osError } from './libc.ts';

const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = fsConstants;
const O_CLOEXEC = 0o2000000;
const LOCK_EX = 2;
const LOCK_NB = 4;

/**
 * Locks the file at `path` for this process alone, creating it with mode 0600; null when somebody else holds it. A lock on a
 * deleted file keeps nobody out: whoever may delete it must check that the path still leads to what is locked.
 * @throws OsError (ELOOP: it is a symbolic link; EACCES; ENOENT: no such directory); Error when it is not a regular file.
 */
export function tryLockFile(path: string): OwnedFd | null {
  const flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  const fd = ownedFd('open', libc().open(path, flags, 0o600), path);
  try {
    if (!fstatSync(fd.raw).isFile()) throw new Error(`not a regular file: ${path}`);
    if (libc().flock(fd.raw, LOCK_EX | LOCK_NB) >= 0) return fd;
    const errno = lastErrno();
    if (errno !== constants.errno.EWOULDBLOCK) throw osError('flock', errno, path);
  } catch (error) {
    fd.close();
    throw error;
  }
  fd.close();
  return null;
}
