/**
 * Who is at the other end of a Unix socket, as the kernel saw it at connect time. Takes descriptor numbers, because sockets of
 * `node:net` are asked about too; it never keeps or closes them.
 */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import type { OwnedFd } from '../os.ts';
import { LinuxFd } from './fd.ts';
import { lastErrno, libc, osError } from './libc.ts';
import { waitReadable } from './sockets.ts';

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_PEERGROUPS = 59;
const SO_PEERPIDFD = 77;
const SYS_PIDFD_OPEN = 434;
const MSG_PEEK = 0x2;
const MSG_DONTWAIT = 0x40;

/** As many supplementary groups as a process can have (NGROUPS_MAX). */
const GROUPS_MAX = 65_536;

const { ENOPROTOOPT, ERANGE, ESRCH, EINVAL, ENODATA } = constants.errno;

export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

/** Process, user and group that connected. @throws OsError (ENOTSOCK, EBADF). */
export function peerCredentials(fd: number): PeerCredentials {
  const words = new Uint32Array(3);
  const errno = socketOption(fd, SO_PEERCRED, words).errno;
  if (errno !== 0) throw osError('getsockopt', errno, 'SO_PEERCRED');
  const [pid = 0, uid = 0, gid = 0] = words;
  // A socket without a peer answers pid 0 and uid -1, which must never pass for somebody.
  if (pid === 0)
    throw osError('getsockopt', constants.errno.ENOTCONN, 'SO_PEERCRED: no peer, or one outside this pid namespace');
  return { pid, uid, gid };
}

/** Supplementary groups of who connected; its primary group need not be among them. @throws OsError. */
export function peerGroups(fd: number): number[] {
  for (let count = 32; ; count = GROUPS_MAX) {
    const groups = new Uint32Array(count);
    const { errno, bytes } = socketOption(fd, SO_PEERGROUPS, groups);
    if (errno === 0) return Array.from(groups.subarray(0, bytes / 4));
    if (errno !== ERANGE || count === GROUPS_MAX) throw osError('getsockopt', errno, 'SO_PEERGROUPS');
  }
}

/**
 * A descriptor that becomes readable when the process that connected is gone; null when it is gone already. `pid` is the one of
 * `peerCredentials`, for kernels before 6.5.
 * @throws OsError (EMFILE).
 */
export function peerPidfd(fd: number, pid: number): OwnedFd | null {
  const word = new Int32Array(1);
  const { errno } = socketOption(fd, SO_PEERPIDFD, word);
  if (errno === ENOPROTOOPT) return pidfdOfNumber(fd, pid);
  if (errno === ESRCH || errno === EINVAL || errno === ENODATA) return null;
  if (errno !== 0) throw osError('getsockopt', errno, 'SO_PEERPIDFD');
  return unlessGone(new LinuxFd(word[0] ?? -1));
}

/**
 * The way of kernels without SO_PEERPIDFD. A number may have passed to another process since the connection was made, so it counts
 * only if it belongs to the same user and the connection still stands after the descriptor has pinned it.
 */
export function pidfdOfNumber(fd: number, pid: number): OwnedFd | null {
  const raw = libc().syscall(SYS_PIDFD_OPEN, pid, 0);
  if (raw < 0) {
    const errno = lastErrno();
    if (errno === ESRCH) return null;
    throw osError('pidfd_open', errno, `pid ${pid}`);
  }
  const pidfd = new LinuxFd(raw);
  try {
    if (uidOf(pid) === peerCredentials(fd).uid && isConnected(fd)) return unlessGone(pidfd);
  } catch (error) {
    pidfd.close();
    throw error;
  }
  pidfd.close();
  return null;
}

function unlessGone(pidfd: LinuxFd): OwnedFd | null {
  if (!waitReadable(pidfd, 0)) return pidfd;
  pidfd.close();
  return null;
}

function isConnected(fd: number): boolean {
  const peeked = libc().recv(fd, new Uint8Array(1), 1, MSG_PEEK | MSG_DONTWAIT);
  return peeked > 0 || (peeked < 0 && lastErrno() === constants.errno.EAGAIN);
}

/** Effective uid of a process; undefined when there is none. */
function uidOf(pid: number): number | undefined {
  try {
    const uids = /^Uid:\s+\d+\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return uids === null ? undefined : Number(uids[1]);
  } catch {
    return undefined;
  }
}

function socketOption(fd: number, option: number, value: Uint32Array | Int32Array): { errno: number; bytes: number } {
  const room = new Uint8Array(value.buffer);
  const valueBytes = new Uint32Array([room.length]);
  const result = libc().getsockopt(fd, SOL_SOCKET, option, room, valueBytes);
  return { errno: result < 0 ? lastErrno() : 0, bytes: valueBytes[0] ?? 0 };
}
