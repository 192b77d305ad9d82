import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { OwnedFd } from '../os.ts';
import { openFds, useTemporaryDirectory } from '../testing/temporary-directory.ts';
import { libc } from './libc.ts';
import { peerCredentials, peerGroups, peerPidfd, pidfdOfNumber } from './peers.ts';
import { watchReadable } from './poller.ts';
import { acceptConnection, bindSocket, connectSeqpacket, listenSeqpacket, openSocket } from './sockets.ts';

const SOCK_STREAM = 1;
const NOBODY = 65_534;
const IS_ROOT = process.getuid?.() === 0;

const directory = useTemporaryDirectory();
const opened: OwnedFd[] = [];

afterEach(() => {
  for (const fd of opened.splice(0)) fd.close();
});

function keep<Fd extends OwnedFd>(fd: Fd | null): Fd {
  if (fd === null) throw new Error('no descriptor');
  opened.push(fd);
  return fd;
}

function ownConnection(): { client: OwnedFd; server: OwnedFd } {
  const path = join(directory(), 'attach.sock');
  const listener = keep(listenSeqpacket(path, 0o600));
  return { client: keep(connectSeqpacket(path)), server: keep(acceptConnection(listener)) };
}

/** Supplementary groups; `process.getgroups()` adds the effective one. */
function ownGroups(): number[] {
  const groups = /^Groups:(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
  return groups.split(' ').flatMap((group) => (group.trim() === '' ? [] : Number(group)));
}

/** A connection from a process of its own, which stays until it is killed. */
async function connectionFromChild(identity: { uid?: number; gid?: number } = {}) {
  const path = join(directory(), 'stream.sock');
  chmodSync(directory(), 0o755);
  const listener = keep(bindSocket(path, 0o666, SOCK_STREAM));
  expect(libc().listen(listener.raw, 1)).toBe(0);
  const script = `require('net').connect(${JSON.stringify(path)}).on('connect', () => console.log('connected'))`;
  const child = spawn(process.execPath, ['-e', script], {
    ...identity,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return { child, server: keep(acceptConnection(listener)) };
}

describe('who connected', () => {
  it('is this process, with its user and groups', () => {
    const { server } = ownConnection();
    expect(peerCredentials(server.raw)).toEqual({ pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() });
    expect(peerGroups(server.raw)).toEqual(ownGroups());
  });

  it('is known with more groups than fit at first', (context) => {
    if (!IS_ROOT) return context.skip('needs root to join groups');
    const own = ownGroups();
    const many = Array.from({ length: 100 }, (_, index) => 5000 + index);
    process.setgroups?.(many);
    try {
      expect(peerGroups(ownConnection().server.raw)).toEqual(many);
    } finally {
      process.setgroups?.(own);
    }
  });

  it('is another user when it is one', async (context) => {
    if (!IS_ROOT) return context.skip('needs root to become another user');
    const { child, server } = await connectionFromChild({ uid: NOBODY, gid: NOBODY });
    expect(peerCredentials(server.raw)).toEqual({ pid: child.pid, uid: NOBODY, gid: NOBODY });
    child.kill('SIGKILL');
    await once(child, 'exit');
  });

  it('is nobody on a socket without a peer, and an error on anything else', () => {
    const lonely = keep(openSocket(SOCK_STREAM));
    expect(() => peerCredentials(lonely.raw)).toThrow(expect.objectContaining({ code: 'ENOTCONN' }));
    expect(() => peerCredentials(9999)).toThrow(expect.objectContaining({ code: 'EBADF' }));
    expect(() => peerGroups(9999)).toThrow(expect.objectContaining({ code: 'EBADF' }));
    expect(() => peerPidfd(9999, 1)).toThrow(expect.objectContaining({ code: 'EBADF' }));
  });
});

describe.each([
  ['by the socket', peerPidfd],
  ['by number', pidfdOfNumber],
])('the peer’s process, pinned %s', (_, pin) => {
  it('is readable once it is dead, and null if asked for then', async () => {
    const { child, server } = await connectionFromChild();
    const pid = child.pid ?? 0;
    const pidfd = keep(pin(server.raw, pid));
    const gone = new Promise<void>((resolve, reject) => {
      const watch = watchReadable(
        pidfd,
        () => {
          watch.close();
          resolve();
        },
        reject,
      );
    });
    child.kill('SIGKILL');
    await Promise.all([gone, once(child, 'exit')]);
    const before = openFds();
    expect(pin(server.raw, pid)).toBeNull();
    expect(openFds()).toEqual(before);
  });
});

describe('a process number', () => {
  it('that belongs to another user by now is not the peer', async (context) => {
    if (!IS_ROOT) return context.skip('needs root to become another user');
    const { child } = await connectionFromChild({ uid: NOBODY, gid: NOBODY });
    const { server } = ownConnection();
    expect(pidfdOfNumber(server.raw, child.pid ?? 0)).toBeNull();
    child.kill('SIGKILL');
    await once(child, 'exit');
  });

  it('is not taken for a peer that has closed the connection', () => {
    const { client, server } = ownConnection();
    expect(keep(pidfdOfNumber(server.raw, process.pid)).closed).toBe(false);
    client.close();
    expect(pidfdOfNumber(server.raw, process.pid)).toBeNull();
  });
});
