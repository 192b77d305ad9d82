import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../domain/testing/fake-ports.ts';
import { ControlListener, type ControlListenerOptions } from './control-listener.ts';

let directory: string;
let listener: ControlListener;
let accepted: Socket[];
const clock = new FakeClock();
const GATE = {
  placesMax: 10,
  placesReserved: 0,
  perUidMax: 2,
  deniedPerUidMax: 1,
  deniedMax: 1,
  ownUid: process.geteuid?.() ?? 0,
  mayConnect: () => true,
};

const open = async (options: Partial<ControlListenerOptions> = {}): Promise<string> => {
  const path = join(directory, 'control.sock');
  listener = await ControlListener.open({
    path,
    mode: 0o600,
    clock,
    logger: pino({ level: 'silent' }),
    gate: GATE,
    firstCallMs: 1000,
    onConnection: (socket) => accepted.push(socket),
    ...options,
  });
  return path;
};

const connected = async (path: string): Promise<Socket> => {
  const socket = connect(path);
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  return socket;
};
const closed = (socket: Socket): Promise<unknown> => new Promise((resolve) => socket.resume().once('close', resolve));
const eventually = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
};

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'leasehold-control-'));
  accepted = [];
});
afterEach(async () => {
  await listener.close();
  rmSync(directory, { recursive: true });
});

describe('the control socket', () => {
  it.each([0o600, 0o666])('has mode %o, and the process its mask back', async (mode) => {
    const mask = process.umask();
    const path = await open({ mode });
    expect(statSync(path).mode & 0o777).toBe(mode);
    expect(process.umask()).toBe(mask);
  });

  it('knows who is at the other end of each connection', async () => {
    const socket = await connected(await open());
    await eventually(() => accepted.length === 1);
    const id = accepted[0]?.remoteAddress ?? '';
    expect(listener.peerOf(id)).toMatchObject({ pid: process.pid, uid: process.geteuid?.() });
    const gone = closed(socket);
    socket.destroy();
    await gone;
    accepted[0]?.resume();
    await eventually(() => listener.peerOf(id) === undefined);
  });

  it('closes connections beyond those that a user may have, and takes new ones when they have gone', async () => {
    const path = await open();
    const [first] = [await connected(path), await connected(path)];
    await closed(await connected(path));
    first?.destroy();
    await eventually(() => {
      for (const socket of accepted) socket.resume();
      return accepted.filter((socket) => socket.destroyed).length === 1;
    });
    await connected(path);
    await eventually(() => accepted.length === 3);
  });

  it('keeps fewer connections of a user who may not connect', async () => {
    const path = await open({ gate: { ...GATE, mayConnect: () => false } });
    await connected(path);
    await closed(await connected(path));
    expect(accepted).toHaveLength(1);
  });

  it('closes a connection that makes no call in time, and keeps one that made one', async () => {
    const path = await open();
    const [silent, calling] = [await connected(path), await connected(path)];
    await eventually(() => accepted.length === 2);
    listener.noteCall(accepted[1]?.remoteAddress ?? '');
    const gone = closed(silent);
    clock.advance(1000);
    await gone;
    expect(accepted.map((socket) => socket.destroyed)).toEqual([true, false]);
    calling.destroy();
  });
});
