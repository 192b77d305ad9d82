/**
 * Opens thousands of connections to one of the broker's sockets, says nothing on any, and keeps them. argv: path of the socket.
 */
import { readFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { connectSeqpacket, OsError, type OwnedFd } from '@leasehold/shm-core/internal';
import { serveQuestions } from '../support/worker-side.ts';

const [, , path = ''] = process.argv;
const ATTEMPTS_MAX = 1_000_000;
const kept: (OwnedFd | Socket)[] = [];

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Tries again while the backlog is full: that is the broker's business, not an end. */
async function attach(): Promise<OwnedFd> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    try {
      return connectSeqpacket(path);
    } catch (error) {
      if (!(error instanceof OsError && error.code === 'EAGAIN')) throw error;
      await nextTurn();
    }
  }
  throw new Error(`the backlog of ${path} stayed full`);
}

/** As for `attach`. A connection that the broker closes counts: it was made. */
async function control(): Promise<Socket> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const socket = createConnection(path);
    const made = await new Promise<boolean>((resolve, reject) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', (error: NodeJS.ErrnoException) =>
        error.code === 'EAGAIN' ? resolve(false) : reject(error),
      );
    });
    if (!made) continue;
    socket.on('error', () => socket.destroy());
    socket.resume();
    return socket;
  }
  throw new Error(`the backlog of ${path} stayed full`);
}

function requireDescriptors(count: number): void {
  const limit = Number(/Max open files\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]);
  if (limit < count + 100)
    throw new Error(`${count} connections need more than the ${limit} descriptors of RLIMIT_NOFILE`);
}

serveQuestions(async ({ connections }: { connections: number }) => {
  requireDescriptors(connections);
  const open = path.endsWith('attach.sock') ? attach : control;
  for (let i = 0; i < connections; i += 1) kept.push(await open());
  return kept.length;
});
