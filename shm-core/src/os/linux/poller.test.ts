import { openSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, it } from 'vitest';
import { createInMemorySegmentOs } from '../in-memory/segments.ts';
import type { OwnedFd } from '../os.ts';
import { useTemporaryDirectory } from '../testing/temporary-directory.ts';
import { LinuxFd } from './fd.ts';
import { peerPidfd } from './peers.ts';
import { watchReadable } from './poller.ts';
import { createLinuxSegmentOs } from './segments.ts';
import { acceptConnection, connectSeqpacket, listenSeqpacket, receivePacket, sendPacket } from './sockets.ts';

const directory = useTemporaryDirectory();
const opened: OwnedFd[] = [];

afterEach(() => {
  for (const fd of opened.splice(0)) fd.close();
});

function pair(): { client: OwnedFd; server: OwnedFd } {
  const path = join(directory(), `${opened.length}.sock`);
  const listener = listenSeqpacket(path, 0o600);
  const client = connectSeqpacket(path);
  const server = acceptConnection(listener);
  if (server === null) throw new Error('no connection');
  opened.push(listener, client, server);
  return { client, server };
}

function unexpected(error: unknown): never {
  throw error;
}

function take(fd: OwnedFd, called: PromiseWithResolvers<void>): void {
  receivePacket(fd, 8, 0);
  called.resolve();
}

const ONE = Uint8Array.of(1);

describe('a watched descriptor', () => {
  it('calls back when it becomes readable, again and again', async () => {
    const { client, server } = pair();
    let wake = Promise.withResolvers<void>();
    watchReadable(server, () => take(server, wake), unexpected);
    for (let round = 0; round < 3; round += 1) {
      sendPacket(client, ONE, []);
      await wake.promise;
      wake = Promise.withResolvers();
    }
  });

  it('keeps calling after its callback threw, and reports what was thrown', async () => {
    const { client, server } = pair();
    const errors: unknown[] = [];
    const second = Promise.withResolvers<void>();
    let calls = 0;
    watchReadable(
      server,
      () => {
        calls += 1;
        if (calls === 1) throw new Error('first');
        receivePacket(server, 8, 0);
        second.resolve();
      },
      (error) => errors.push(error),
    );
    sendPacket(client, ONE, []);
    await second.promise;
    expect(errors).toEqual([new Error('first')]);
  });

  it('is not forgotten when nobody keeps its watch', async () => {
    const { client, server } = pair();
    const called = Promise.withResolvers<void>();
    watchReadable(server, () => take(server, called), unexpected);
    setFlagsFromString('--expose-gc');
    const collect: unknown = runInNewContext('gc');
    if (typeof collect !== 'function') throw new Error('no gc');
    for (let round = 0; round < 5; round += 1) {
      collect();
      await new Promise((resolve) => setImmediate(resolve));
    }
    sendPacket(client, ONE, []);
    await called.promise;
  });

  it('is called when its peer closes, also with messages unread', async () => {
    for (const leaveUnread of [false, true]) {
      const { client, server } = pair();
      const closed = Promise.withResolvers<string>();
      const watch = watchReadable(
        server,
        () => {
          watch.close();
          closed.resolve(receivePacket(server, 8, 0).kind);
        },
        unexpected,
      );
      if (leaveUnread) sendPacket(server, ONE, []);
      client.close();
      expect(await closed.promise).toBe('closed');
    }
  });

  it('is called again after an error that it did not fetch the first time', async () => {
    const { client, server } = pair();
    sendPacket(server, ONE, []);
    const again = Promise.withResolvers<void>();
    let calls = 0;
    const watch = watchReadable(
      server,
      () => {
        calls += 1;
        if (calls < 2) return;
        watch.close();
        again.resolve();
      },
      unexpected,
    );
    client.close();
    await again.promise;
  });

  it('stops when it is closed, and its number can be watched anew', async () => {
    const { server } = pair();
    watchReadable(server, () => unexpected(new Error('closed')), unexpected);
    const raw = server.raw;
    server.close();
    const { client: client2, server: server2 } = pair();
    expect([client2.raw, server2.raw, opened.at(-3)?.raw]).toContain(raw);
    const called = Promise.withResolvers<void>();
    watchReadable(server2, () => take(server2, called), unexpected);
    sendPacket(client2, ONE, []);
    await called.promise;
  });

  it('can be closed, ref’d and unref’d in any order', () => {
    const { server } = pair();
    const watch = watchReadable(server, () => undefined, unexpected);
    watch.unref();
    watch.ref();
    watch.close();
    watch.close();
    watch.unref();
    watch.ref();
    watchReadable(server, () => undefined, unexpected).close();
  });

  it('cannot be watched twice', () => {
    const { server } = pair();
    watchReadable(server, () => undefined, unexpected);
    expect(() => watchReadable(server, () => undefined, unexpected)).toThrow('watched already');
  });

  it('must be open and pollable', () => {
    const segment = createLinuxSegmentOs().create('leasehold-test', 65_536, 'base');
    const file = new LinuxFd(openSync('/proc/self/exe', 'r'));
    const folder = new LinuxFd(openSync(directory(), 'r'));
    for (const fd of [segment, file, folder]) {
      expect(() => watchReadable(fd, () => undefined, unexpected)).toThrow('cannot be watched');
      fd.close();
      expect(() => watchReadable(fd, () => undefined, unexpected)).toThrow('closed');
    }
    const foreign = createInMemorySegmentOs().create('leasehold-test', 4096, 'base');
    expect(() => watchReadable(foreign, () => undefined, unexpected)).toThrow(TypeError);
  });

  it('may be a pidfd', () => {
    const { server } = pair();
    const pidfd = peerPidfd(server.raw, process.pid);
    if (pidfd === null) throw new Error('this process is alive');
    watchReadable(pidfd, () => undefined, unexpected);
    pidfd.close();
  });
});
