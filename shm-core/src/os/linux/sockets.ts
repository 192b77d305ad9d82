/**
 * SOCK_SEQPACKET Unix sockets that carry messages with file descriptors. Invariants: nothing here blocks but `waitReadable`, whose
 * bound the caller gives; every descriptor is close-on-exec; a received descriptor is either in the result or closed. Expected
 * outcomes are values, faults are OsErrors.
 */
import { constants } from 'node:os';
import type { OwnedFd } from '../os.ts';
import { LinuxFd, ownedFd } from './fd.ts';
import { checked, lastErrno, libc, osError } from './libc.ts';
import { MESSAGE_FDS_MAX, MessageHeader } from './message-header.ts';
import { unixAddress } from './unix-address.ts';

const AF_UNIX = 1;
const SOCK_SEQPACKET = 5;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;

const MSG_CTRUNC = 0x8;
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;

const SOL_SOCKET = 1;
const SO_MEMINFO = 55;
/** Of the words that SO_MEMINFO gives: what was sent and is not read yet (SK_MEMINFO_WMEM_ALLOC). */
const MEMINFO_WORDS = 9;
const WRITE_MEMORY = 2;

const POLLIN = 1;
const LISTEN_BACKLOG = 512;

const { EAGAIN, EINTR, ECONNABORTED, ECONNRESET, ENOTCONN, EPIPE } = constants.errno;

/** What `receivePacket` found. A peer that sends an empty packet is `closed` too: the kernel reports both as 0 bytes. */
export type ReceivedPacket =
  | {
      readonly kind: 'packet';
      readonly bytes: Uint8Array;
      readonly fds: OwnedFd[];
      /** Bytes or descriptors were more than asked for. Then `bytes` is what fitted, and `fds` is empty. */
      readonly truncated: boolean;
    }
  | { readonly kind: 'empty' }
  | { readonly kind: 'closed' };

/** Listens at `path`, which must not exist yet. @throws Error for a path over 107 B; OsError (EADDRINUSE, EACCES). */
export function listenSeqpacket(path: string, mode: number): OwnedFd {
  const fd = bindSocket(path, mode, SOCK_SEQPACKET);
  try {
    checked('listen', libc().listen(fd.raw, LISTEN_BACKLOG), path);
    return fd;
  } catch (error) {
    fd.close();
    throw error;
  }
}

/** A non-blocking socket of `type`, bound to `path` with `mode`. For this file and doorbells.ts. */
export function bindSocket(path: string, mode: number, type: number): OwnedFd {
  const address = unixAddress(path);
  const fd = openSocket(type | SOCK_NONBLOCK);
  try {
    checked('bind', libc().bind(fd.raw, address, address.length), path);
    checked('chmod', libc().chmod(path, mode), path);
    return fd;
  } catch (error) {
    fd.close();
    throw error;
  }
}

/** A close-on-exec Unix socket. */
export function openSocket(type: number): LinuxFd {
  return ownedFd('socket', libc().socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
}

/** The next connection, non-blocking; null when none is waiting. @throws OsError (EMFILE, ENFILE: it stays in the backlog). */
export function acceptConnection(listener: OwnedFd): OwnedFd | null {
  const raw = libc().accept4(listener.raw, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (raw >= 0) return new LinuxFd(raw);
  const errno = lastErrno();
  if (errno === EAGAIN || errno === EINTR || errno === ECONNABORTED) return null;
  throw osError('accept4', errno);
}

/**
 * Connects to a listener, without ever waiting: a full backlog is EAGAIN, to be tried again later.
 * @throws Error for a path over 107 B; OsError (ENOENT, ECONNREFUSED: nobody listens; EACCES; EAGAIN).
 */
export function connectSeqpacket(path: string): OwnedFd {
  const address = unixAddress(path);
  const fd = openSocket(SOCK_SEQPACKET | SOCK_NONBLOCK);
  try {
    checked('connect', libc().connect(fd.raw, address, address.length), path);
    return fd;
  } catch (error) {
    fd.close();
    throw error;
  }
}

/**
 * Sends one message. `full`: the peer does not read, nothing was sent. `closed`: there is no peer any more. The descriptors stay the caller's.
 * @throws RangeError when it is empty (it would look like an end) or has over 253 descriptors;
 *   OsError (EMSGSIZE; ETOOMANYREFS: too many of this user's descriptors are in flight).
 */
export function sendPacket(fd: OwnedFd, bytes: Uint8Array, fds: readonly OwnedFd[]): 'sent' | 'full' | 'closed' {
  if (bytes.length === 0) throw new RangeError('an empty packet cannot be told from a closed connection');
  if (fds.length > MESSAGE_FDS_MAX) {
    throw new RangeError(`a message carries at most ${MESSAGE_FDS_MAX} file descriptors, not ${fds.length}`);
  }
  const header = messageHeader();
  header.prepareSend(
    bytes,
    fds.map((each) => each.raw),
  );
  const sent = libc().sendmsg(fd.raw, header.bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent >= 0) return 'sent';
  const errno = lastErrno();
  if (errno === EAGAIN || errno === EINTR) return 'full';
  if (errno === EPIPE || errno === ECONNRESET || errno === ENOTCONN) return 'closed';
  throw osError('sendmsg', errno, `${bytes.length} B, ${fds.length} descriptors`);
}

/**
 * Takes the next message, of up to `maxBytes` with up to `maxFds` descriptors, which the caller then owns.
 * @throws RangeError for sizes out of range; OsError (ENOMEM, EBADF).
 */
export function receivePacket(fd: OwnedFd, maxBytes: number, maxFds: number): ReceivedPacket {
  if (!Number.isInteger(maxBytes) || maxBytes < 1) throw new RangeError(`maxBytes must be positive, not ${maxBytes}`);
  if (!Number.isInteger(maxFds) || maxFds < 0 || maxFds > MESSAGE_FDS_MAX) {
    throw new RangeError(`maxFds must be 0 to ${MESSAGE_FDS_MAX}, not ${maxFds}`);
  }
  const payload = receiveSpace(maxBytes);
  const header = messageHeader();
  header.prepareReceive(payload, maxFds);
  const received = libc().recvmsg(fd.raw, header.bytes, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (received < 0) {
    const errno = lastErrno();
    if (errno === EAGAIN || errno === EINTR) return { kind: 'empty' };
    if (errno === ECONNRESET || errno === ENOTCONN) return { kind: 'closed' };
    throw osError('recvmsg', errno);
  }
  const fds = header.receivedFds().map((raw) => new LinuxFd(raw));
  const truncated = (header.flags & (MSG_TRUNC | MSG_CTRUNC)) !== 0 || fds.length > maxFds;
  if (received === 0 || truncated) for (const each of fds.splice(0)) each.close();
  if (received === 0) return { kind: 'closed' };
  return { kind: 'packet', bytes: payload.slice(0, received), fds, truncated };
}

/**
 * Whether something that was sent on `fd` has not been read: its packets, and their descriptors, are in flight still.
 * @throws OsError (EBADF).
 */
export function hasUnreadPackets(fd: OwnedFd): boolean {
  const words = new Uint32Array(MEMINFO_WORDS);
  const room = new Uint8Array(words.buffer);
  checked('getsockopt', libc().getsockopt(fd.raw, SOL_SOCKET, SO_MEMINFO, room, new Uint32Array([room.length])));
  return words[WRITE_MEMORY] !== 0;
}

/**
 * Waits, blocking this thread, until `fd` can be read or its peer is gone; false when `timeoutMs` passed first. For the few bounded
 * exchanges that must not return to the event loop.
 */
export function waitReadable(fd: OwnedFd, timeoutMs: number): boolean {
  if (!(timeoutMs >= 0 && timeoutMs <= 0x7fffffff)) throw new RangeError(`timeoutMs out of range: ${timeoutMs}`);
  const deadlineMs = performance.now() + timeoutMs;
  const pollFd = new Int32Array([fd.raw, POLLIN]);
  for (;;) {
    const remainingMs = Math.max(0, Math.ceil(deadlineMs - performance.now()));
    const ready = libc().poll(pollFd, 1, remainingMs);
    if (ready >= 0) return ready > 0;
    const errno = lastErrno();
    if (errno !== EINTR) throw osError('poll', errno);
    if (performance.now() >= deadlineMs) return false;
  }
}

let header: MessageHeader | undefined;

/** One for all calls of this thread: none of them outlasts its own system call. */
function messageHeader(): MessageHeader {
  header ??= new MessageHeader();
  return header;
}

let space = new Uint8Array(0);

function receiveSpace(bytes: number): Uint8Array {
  if (space.length < bytes) space = new Uint8Array(new ArrayBuffer(bytes));
  return space.subarray(0, bytes);
}
