/**
 * The runtime directory of a running broker: made, checked, locked, swept and given back.
 *
 * Invariants: it is ours alone (private-directory.ts); while a RuntimeDir is open this process holds `broker.lock`, and only the holder
 * removes sockets, so a living broker's are never touched. A directory that was there before keeps its mode: a mistyped path must not
 * open or close somebody's home. `broker.lock` stays in such a directory, and is deleted only with a directory that we made.
 */
import {
  chmodSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmdirSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { LeaseholdError } from '@leasehold/proto';
import { type OwnedFd, openRinger, tryLockFile } from '@leasehold/shm-core/internal';
import { isErrno, readHead } from './files.ts';
import { requireTrustedDirectory } from './private-directory.ts';

/** Longest path of a Unix socket, B. */
const SOCKET_PATH_BYTES_MAX = 107;
const BELL_NAME_CHARACTERS = 32;
/** How often a directory may vanish under us (its last broker was just leaving) before we give up. */
const LOCK_ATTEMPTS = 16;
/** What a ring says is of no matter. */
const A_RING = new Uint8Array(12);

export interface RuntimeDirOptions {
  /** Absolute. */
  readonly path: string;
  /** Lets other users reach the sockets; policy decides what they may do there. */
  readonly system: boolean;
  /** Effective user of the broker; by default that of this process. */
  readonly uid?: number;
  /** For tests. */
  readonly tryLock?: (path: string) => OwnedFd | null;
}

export interface RuntimeDir {
  readonly path: string;
  readonly system: boolean;
  readonly controlSocket: string;
  readonly attachSocket: string;
  readonly httpSocket: string;
  readonly bellsDir: string;
  /** What mode the sockets in it are to have. */
  readonly socketMode: number;
  /** Removes sockets and silent bells, then the lock, then the directory if it was made for this broker and nothing else is in it. Idempotent. */
  close(): void;
}

/** The paths and modes of a runtime directory, before anything is done there. */
type Layout = Omit<RuntimeDir, 'close'>;

/**
 * Takes the runtime directory for this process.
 * @throws LeaseholdError PATH_TOO_LONG; Error when the directory cannot be trusted, cannot be made, or another broker serves it.
 */
export function openRuntimeDir(options: RuntimeDirOptions): RuntimeDir {
  const { path, system } = options;
  const uid = options.uid ?? process.geteuid?.() ?? 0;
  const layout: Layout = {
    path,
    system,
    controlSocket: join(path, 'control.sock'),
    attachSocket: join(path, 'attach.sock'),
    httpSocket: join(path, 'http.sock'),
    bellsDir: join(path, 'bells'),
    socketMode: system ? 0o666 : 0o600,
  };
  requireShortPaths(layout);
  const { lock, created } = lockDirectory(layout, uid, options.tryLock ?? tryLockFile);
  try {
    sweep(layout);
    makeBellsDir(layout, uid);
  } catch (error) {
    if (created) removeIfOnlyLock(layout.path);
    lock.close();
    throw error;
  }
  return { ...layout, close: () => giveBack(layout, lock, created) };
}

function requireShortPaths(layout: Layout): void {
  const longest = join(layout.bellsDir, 'x'.repeat(BELL_NAME_CHARACTERS));
  const bytes = Buffer.byteLength(longest);
  if (bytes <= SOCKET_PATH_BYTES_MAX) return;
  const room = SOCKET_PATH_BYTES_MAX - (bytes - Buffer.byteLength(layout.path));
  throw new LeaseholdError(
    'PATH_TOO_LONG',
    `runtime directory ${layout.path} is ${Buffer.byteLength(layout.path)} bytes long: its longest socket path would have ` +
      `${bytes} bytes, and the system takes ${SOCKET_PATH_BYTES_MAX}; choose a directory of at most ${room} bytes`,
    { metadata: { path: layout.path, pathBytes: String(bytes), pathBytesMax: String(SOCKET_PATH_BYTES_MAX) } },
  );
}

/**
 * IMPORTANT: a broker that leaves deletes its lock file while it holds the lock. Whoever opened the file before that and gets the
 * lock after it holds a lock that keeps nobody out, so the lock counts only if the path still leads to the locked file.
 */
function lockDirectory(
  layout: Layout,
  uid: number,
  tryLock: (path: string) => OwnedFd | null,
): { lock: OwnedFd; created: boolean } {
  const lockPath = join(layout.path, 'broker.lock');
  for (let attempt = 0; attempt < LOCK_ATTEMPTS; attempt++) {
    const created = makeDirectory(layout);
    const lock = underPath(() => {
      requireTrustedDirectory(layout.path, { role: 'runtime directory', uid, symlink: 'refuse' });
      return tryLock(lockPath);
    });
    if (lock === 'vanished') continue;
    if (lock === null) throw new Error(heldMessage(layout.path, lockPath));
    if (leadsTo(lockPath, lock)) {
      ftruncateSync(lock.raw, 0);
      writeSync(lock.raw, `${process.pid}\n`, 0);
      return { lock, created };
    }
    lock.close();
  }
  throw new Error(`runtime directory ${layout.path} was removed again and again while it was being locked; try again`);
}

/** Makes the directory, but not its parents. False when it is there already. */
function makeDirectory(layout: Layout): boolean {
  const mode = layout.system ? 0o755 : 0o700;
  try {
    mkdirSync(layout.path, { mode });
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false;
    const why = isErrno(error, 'ENOENT') ? `${dirname(layout.path)} does not exist` : String(error);
    throw new Error(`cannot make the runtime directory ${layout.path}: ${why}`, { cause: error });
  }
  // mkdir applies the umask, which may be too strict for a system broker.
  chmodSync(layout.path, mode);
  return true;
}

function underPath<T>(step: () => T): T | 'vanished' {
  try {
    return step();
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return 'vanished';
    throw error;
  }
}

function leadsTo(path: string, fd: OwnedFd): boolean {
  const named = lstatSync(path, { throwIfNoEntry: false });
  const held = fstatSync(fd.raw);
  return named !== undefined && named.ino === held.ino && named.dev === held.dev;
}

function heldMessage(path: string, lockPath: string): string {
  const pid = readHead(lockPath, 16)?.trim() ?? '';
  const who = /^[1-9][0-9]*$/.test(pid) ? `a broker (pid ${pid})` : 'a broker';
  return `${who} already serves ${path}; stop it, or choose another directory with --runtime-dir`;
}

/** Removes what a broker that died has left behind. */
function sweep(layout: Layout): void {
  for (const socket of [layout.controlSocket, layout.attachSocket, layout.httpSocket]) {
    const stats = lstatSync(socket, { throwIfNoEntry: false });
    if (stats === undefined) continue;
    if (!stats.isSocket()) throw new Error(`${socket} is in the way and is no socket; remove it`);
    rmSync(socket);
  }
  removeBells(layout.bellsDir);
}

function makeBellsDir(layout: Layout, uid: number): void {
  try {
    mkdirSync(layout.bellsDir);
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
  }
  requireTrustedDirectory(layout.bellsDir, { role: 'doorbell directory', uid, symlink: 'refuse' });
  // Others may ring a bell whose name they were told, but not list the names.
  chmodSync(layout.bellsDir, layout.system ? 0o711 : 0o700);
}

/** Only those that nobody hears: clients of a broker that ended may still be ringing one another. */
function removeBells(bellsDir: string): void {
  if (lstatSync(bellsDir, { throwIfNoEntry: false })?.isDirectory() !== true) return;
  const ringer = openRinger();
  try {
    for (const entry of readdirSync(bellsDir, { withFileTypes: true })) {
      const path = join(bellsDir, entry.name);
      if (!entry.isSocket()) continue;
      if (ringer.ring(path, A_RING) === 'gone') rmSync(path, { force: true });
    }
  } finally {
    ringer.close();
  }
}

function giveBack(layout: Layout, lock: OwnedFd, created: boolean): void {
  if (lock.closed) return;
  try {
    for (const socket of [layout.controlSocket, layout.attachSocket, layout.httpSocket])
      rmSync(socket, { force: true });
    removeBells(layout.bellsDir);
    removeIfEmpty(layout.bellsDir);
    if (created) removeIfOnlyLock(layout.path);
  } finally {
    lock.close();
  }
}

function removeIfOnlyLock(path: string): void {
  if (readdirSync(path).some((name) => name !== 'broker.lock')) return;
  rmSync(join(path, 'broker.lock'), { force: true });
  removeIfEmpty(path);
}

function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    if (!isErrno(error, 'ENOTEMPTY') && !isErrno(error, 'ENOENT')) throw error;
  }
}
