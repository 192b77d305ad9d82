import { execFileSync } from 'node:child_process';
import { closeSync, fstatSync, openSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { OwnedFd } from '../os.ts';
import { openFds, useTemporaryDirectory } from '../testing/temporary-directory.ts';
import { LinuxFd } from './fd.ts';
import {
  acceptConnection,
  connectSeqpacket,
  listenSeqpacket,
  type ReceivedPacket,
  receivePacket,
  sendPacket,
  waitReadable,
} from './sockets.ts';

const directory = useTemporaryDirectory();
const opened: OwnedFd[] = [];

afterEach(() => {
  for (const fd of opened.splice(0)) fd.close();
});

function keep<Fd extends OwnedFd | null>(fd: Fd): NonNullable<Fd> {
  if (fd === null) throw new Error('no descriptor');
  opened.push(fd);
  return fd as NonNullable<Fd>;
}

function pair(): { client: OwnedFd; server: OwnedFd } {
  const path = join(directory(), 'attach.sock');
  const listener = keep(listenSeqpacket(path, 0o600));
  return { client: keep(connectSeqpacket(path)), server: keep(acceptConnection(listener)) };
}

function packet(received: ReceivedPacket) {
  if (received.kind !== 'packet') throw new Error(`expected a packet, not ${received.kind}`);
  for (const fd of received.fds) opened.push(fd);
  return received;
}

const patterned = (length: number) => Uint8Array.from({ length }, (_, index) => (index * 31 + length) & 0xff);

describe('listening and connecting', () => {
  it('gives the socket the mode asked for, whatever the umask', () => {
    const path = join(directory(), 'attach.sock');
    keep(listenSeqpacket(path, 0o666));
    expect(statSync(path).mode & 0o777).toBe(0o666);
  });

  it('accepts nobody when nobody waits', () => {
    const listener = keep(listenSeqpacket(join(directory(), 'attach.sock'), 0o600));
    expect(acceptConnection(listener)).toBeNull();
  });

  it('takes a path of 107 bytes and refuses one of 108 in words', () => {
    const prefix = `${directory()}/`;
    const path = prefix + 'x'.repeat(107 - prefix.length);
    keep(listenSeqpacket(path, 0o600));
    keep(connectSeqpacket(path));
    expect(() => listenSeqpacket(`${path}x`, 0o600)).toThrow(/108 B is longer than the 107 B/);
    expect(() => connectSeqpacket(`${path}x`)).toThrow(/108 B is longer than the 107 B/);
    expect(() => connectSeqpacket('')).toThrow('not a socket path');
    expect(() => connectSeqpacket('a\0b')).toThrow('not a socket path');
  });

  it('reports who is not there, and leaks nothing', () => {
    const path = join(directory(), 'attach.sock');
    const before = openFds();
    expect(() => connectSeqpacket(path)).toThrow(expect.objectContaining({ call: 'connect', code: 'ENOENT' }));
    listenSeqpacket(path, 0o600).close();
    expect(() => connectSeqpacket(path)).toThrow(expect.objectContaining({ code: 'ECONNREFUSED' }));
    expect(() => listenSeqpacket(path, 0o600)).toThrow(expect.objectContaining({ call: 'bind', code: 'EADDRINUSE' }));
    expect(openFds()).toEqual(before);
  });

  it('hands no socket to children', () => {
    const { server } = pair();
    const script = `try { require('fs').fstatSync(${server.raw}).isSocket() && console.log('inherited') } catch { console.log('no') }`;
    expect(execFileSync(process.execPath, ['-e', script]).toString()).not.toContain('inherited');
  });
});

describe('packets', () => {
  it.each([1, 31, 1023, 1024, 1025, 4093, 65_536])(
    'of %d B arrive whole, and nothing beside them is touched',
    (length) => {
      const { client, server } = pair();
      const surroundings = new Uint8Array(length + 32).fill(0xee);
      surroundings.set(patterned(length), 16);
      expect(sendPacket(client, surroundings.subarray(16, 16 + length), [])).toBe('sent');
      const first = packet(receivePacket(server, length, 0));
      expect(first.truncated).toBe(false);
      expect(first.bytes).toEqual(patterned(length));
      expect(surroundings.subarray(0, 16).every((byte) => byte === 0xee)).toBe(true);
      expect(surroundings.subarray(16 + length).every((byte) => byte === 0xee)).toBe(true);
      // A later, shorter packet neither changes the first one nor shows any of it.
      sendPacket(client, Uint8Array.of(1), []);
      expect(packet(receivePacket(server, length, 0)).bytes).toEqual(Uint8Array.of(1));
      expect(first.bytes).toEqual(patterned(length));
    },
  );

  it('keep their borders', () => {
    const { client, server } = pair();
    for (const byte of [1, 2, 3]) sendPacket(client, Uint8Array.of(byte, byte), []);
    for (const byte of [1, 2, 3]) expect(packet(receivePacket(server, 64, 0)).bytes).toEqual(Uint8Array.of(byte, byte));
    expect(receivePacket(server, 64, 0)).toEqual({ kind: 'empty' });
  });

  it('longer than asked for are truncated, say so and lose their descriptors', () => {
    const { client, server } = pair();
    const before = openFds();
    sendPacket(client, patterned(1025), [client]);
    expect(receivePacket(server, 1024, 1)).toEqual({
      kind: 'packet',
      bytes: patterned(1025).subarray(0, 1024),
      fds: [],
      truncated: true,
    });
    expect(openFds()).toEqual(before);
  });

  it('may not be empty, because an empty packet reads as the end', () => {
    const { client } = pair();
    expect(() => sendPacket(client, new Uint8Array(0), [])).toThrow(RangeError);
  });

  it('are refused, not waited for, when the peer does not read', () => {
    const { client, server } = pair();
    const full = patterned(65_536);
    let sent = 0;
    while (sent < 10_000 && sendPacket(client, full, []) === 'sent') sent += 1;
    expect(sent).toBeGreaterThan(0);
    expect(sendPacket(client, full, [])).toBe('full');
    expect(packet(receivePacket(server, 65_536, 0)).bytes).toEqual(full);
  });

  it('end with closed on both sides', () => {
    const { client, server } = pair();
    sendPacket(client, Uint8Array.of(1), []);
    client.close();
    expect(packet(receivePacket(server, 8, 0)).bytes).toEqual(Uint8Array.of(1));
    expect(receivePacket(server, 8, 0)).toEqual({ kind: 'closed' });
    expect(sendPacket(server, Uint8Array.of(1), [])).toBe('closed');
  });

  it('read as closed when the peer left without reading what it was sent', () => {
    const { client, server } = pair();
    sendPacket(server, Uint8Array.of(1), []);
    client.close();
    expect(receivePacket(server, 8, 0)).toEqual({ kind: 'closed' });
  });

  it('are not asked for with impossible sizes', () => {
    const { server } = pair();
    for (const bytes of [0, -1, 1.5, Number.NaN]) expect(() => receivePacket(server, bytes, 0)).toThrow(RangeError);
    for (const fds of [-1, 254, 0.5]) expect(() => receivePacket(server, 8, fds)).toThrow(RangeError);
  });
});

describe('descriptors in packets', () => {
  it.each([1, 2, 7, 253])('arrive, %d of them, as the same open files and close-on-exec', (count) => {
    const { client, server } = pair();
    const path = join(directory(), 'file');
    writeFileSync(path, 'x');
    const file = keep(new LinuxFd(openSync(path, 'r')));
    expect(
      sendPacket(
        client,
        Uint8Array.of(1),
        Array.from({ length: count }, () => file),
      ),
    ).toBe('sent');
    const received = packet(receivePacket(server, 8, count));
    expect(received.truncated).toBe(false);
    expect(received.fds).toHaveLength(count);
    const inode = statSync(path).ino;
    expect(received.fds.every((fd) => fstatSync(fd.raw).ino === inode)).toBe(true);
    const script = `try { console.log(require('fs').fstatSync(${received.fds[0]?.raw}).ino === ${inode}) } catch { console.log(false) }`;
    expect(execFileSync(process.execPath, ['-e', script]).toString()).toBe('false\n');
  });

  it.each([
    [0, 1],
    [1, 2],
    [2, 3],
    [1, 253],
  ])('with room for %d, %d sent are all refused and none is leaked', (room, count) => {
    const { client, server } = pair();
    const before = openFds();
    sendPacket(
      client,
      Uint8Array.of(7),
      Array.from({ length: count }, () => client),
    );
    expect(receivePacket(server, 8, room)).toEqual({
      kind: 'packet',
      bytes: Uint8Array.of(7),
      fds: [],
      truncated: true,
    });
    expect(openFds()).toEqual(before);
  });

  it('are not mixed up with those of the message before', () => {
    const { client, server } = pair();
    sendPacket(client, Uint8Array.of(1), [client, client]);
    sendPacket(client, Uint8Array.of(2), []);
    expect(packet(receivePacket(server, 8, 4)).fds).toHaveLength(2);
    expect(packet(receivePacket(server, 8, 4)).fds).toHaveLength(0);
  });

  it('are at most 253, and open', () => {
    const { client } = pair();
    const closed = new LinuxFd(openSync('/dev/null', 'r'));
    closed.close();
    expect(() => sendPacket(client, Uint8Array.of(1), [closed])).toThrow('closed');
    expect(() =>
      sendPacket(
        client,
        Uint8Array.of(1),
        Array.from({ length: 254 }, () => client),
      ),
    ).toThrow(RangeError);
  });

  it('that the process has no room for are a truncated packet, and a connection stays in the backlog', () => {
    const { client, server } = pair();
    const path = join(directory(), 'other.sock');
    const listener = keep(listenSeqpacket(path, 0o600));
    keep(connectSeqpacket(path));
    sendPacket(client, Uint8Array.of(1), [client]);
    withoutSpareFds(() => {
      expect(receivePacket(server, 8, 1)).toMatchObject({ kind: 'packet', fds: [], truncated: true });
      expect(() => acceptConnection(listener)).toThrow(expect.objectContaining({ call: 'accept4', code: 'EMFILE' }));
    });
    keep(acceptConnection(listener));
  });
});

/** Runs `body` with every descriptor that this process may have in use. */
function withoutSpareFds(body: () => void): void {
  const setLimit = (soft: string) => execFileSync('prlimit', ['--pid', `${process.pid}`, `--nofile=${soft}:`]);
  const usual = execFileSync('prlimit', [
    '--pid',
    `${process.pid}`,
    '--nofile',
    '-o',
    'SOFT',
    '--noheadings',
  ]).toString();
  setLimit(`${openFds().length + 64}`);
  const fillers: number[] = [];
  try {
    expect(() => {
      for (;;) fillers.push(openSync('/dev/null', 'r'));
    }).toThrow('EMFILE');
    body();
  } finally {
    for (const raw of fillers) closeSync(raw);
    setLimit(usual.trim());
  }
}

describe('waiting for a packet', () => {
  it('ends at once when there is one or the peer is gone, and by its bound when there is none', () => {
    const { client, server } = pair();
    expect(waitReadable(server, 0)).toBe(false);
    expect(waitReadable(server, 5)).toBe(false);
    sendPacket(client, Uint8Array.of(1), []);
    expect(waitReadable(server, 10_000)).toBe(true);
    receivePacket(server, 8, 0);
    client.close();
    expect(waitReadable(server, 10_000)).toBe(true);
  });

  it.each([-1, Number.NaN, 2 ** 31])('refuses a bound of %d ms', (timeoutMs) => {
    const { server } = pair();
    expect(() => waitReadable(server, timeoutMs)).toThrow(RangeError);
  });

  it('is not fooled by a number that was closed', () => {
    const raw = openSync('/dev/null', 'r');
    closeSync(raw);
    const { server } = pair();
    server.close();
    expect(() => waitReadable(server, 0)).toThrow('closed');
  });
});
