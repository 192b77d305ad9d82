import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { HealthImplementation, type ServingStatus } from 'grpc-health-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InterruptedError } from '../program/context.ts';
import { runProgram } from '../program/program.ts';
import { fakeContext } from '../program/testing/fake-context.ts';

let runtimeDir: string;
let controlSocket: string;
let close: () => void = () => undefined;

beforeEach(() => {
  runtimeDir = mkdtempSync(join(tmpdir(), 'lh-'));
  controlSocket = join(runtimeDir, 'control.sock');
});
afterEach(() => {
  close();
  close = () => undefined;
  rmSync(runtimeDir, { recursive: true, force: true });
});

const startBroker = async (readiness: ServingStatus): Promise<HealthImplementation> => {
  const server = new grpc.Server();
  const health = new HealthImplementation({ 'leasehold-liveness': 'SERVING', 'leasehold-readiness': readiness });
  health.addToServer(server);
  writeFileSync(join(runtimeDir, 'attach.sock'), '');
  await new Promise<void>((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createInsecure();
    server.bindAsync(`unix:${controlSocket}`, credentials, (error) => (error === null ? resolve() : reject(error)));
  });
  close = () => server.forceShutdown();
  return health;
};
const health = async (...args: string[]) => {
  const context = fakeContext();
  return { exitCode: await runProgram(['health', '--runtime-dir', runtimeDir, ...args], context), ...context.printed };
};

describe('leasehold health', () => {
  it('is 0 when the broker lives, and 1 with --ready while it is not ready', async () => {
    const broker = await startBroker('NOT_SERVING');
    expect(await health()).toMatchObject({ exitCode: 0, out: `serving ${controlSocket}\n` });
    expect(await health('--ready')).toMatchObject({
      exitCode: 1,
      out: '',
      err: expect.stringContaining('is not ready'),
    });
    broker.setStatus('leasehold-readiness', 'SERVING');
    expect(await health('--ready')).toMatchObject({ exitCode: 0 });
  });

  it('is 3 when nobody answers, and says how to start a broker', async () => {
    const unreachable = await health();
    expect(unreachable).toMatchObject({ exitCode: 3, out: '' });
    expect(unreachable.err).toContain(`no broker answers at ${join(runtimeDir, 'attach.sock')}`);
    expect(unreachable.err).toContain('leasehold serve');
  });

  it('waits for a broker that is not there yet', async () => {
    const waiting = health('--wait-ms', '30000');
    await startBroker('SERVING');
    expect(await waiting).toMatchObject({ exitCode: 0 });
  });

  it('is 6 when the wait was in vain, for want of a broker or of readiness', async () => {
    expect(await health('--wait-ms', '60')).toMatchObject({
      exitCode: 6,
      err: expect.stringContaining('within 60 ms'),
    });
    await startBroker('NOT_SERVING');
    expect(await health('--ready', '--wait-ms', '60')).toMatchObject({
      exitCode: 6,
      err: expect.stringContaining('"not ready"'),
    });
  });

  it('prints one JSON object with --format json, and errors beside it on stderr', async () => {
    const unreachable = await health('--format', 'json');
    expect(JSON.parse(unreachable.out)).toEqual({
      status: 'unreachable',
      service: 'leasehold-liveness',
      controlSocket,
    });
    expect(unreachable).toMatchObject({ exitCode: 3, err: expect.stringContaining('leasehold: no broker') });
    await startBroker('SERVING');
    expect(JSON.parse((await health('--format', 'json', '--ready')).out)).toMatchObject({ status: 'serving' });
  });

  it('is not held up by somebody who accepts and says nothing', async () => {
    writeFileSync(join(runtimeDir, 'attach.sock'), '');
    const sockets: Socket[] = [];
    const silent = await new Promise<NetServer>((resolve) => {
      const server = createServer((socket) => sockets.push(socket)).listen(controlSocket, () => resolve(server));
    });
    close = () => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    };
    expect(await health()).toMatchObject({
      exitCode: 6,
      err: expect.stringContaining(`no answer on ${controlSocket}`),
    });
  });

  it('ends with 130 when Ctrl-C ends the wait', async () => {
    const context = fakeContext();
    const waiting = runProgram(['health', '--runtime-dir', runtimeDir, '--wait-ms', '60000'], context);
    context.abort(new InterruptedError('SIGINT'));
    expect(await waiting).toBe(130);
    expect(context.printed.err).toBe('');
  });

  it('looks where the other commands look, and not where systemd has its own services put things', async () => {
    await startBroker('SERVING');
    const asOthers = fakeContext({ env: { LEASEHOLD_RUNTIME_DIR: runtimeDir, RUNTIME_DIRECTORY: '/nowhere' } });
    expect(await runProgram(['health'], asOthers)).toBe(0);
    const misled = fakeContext({ env: { RUNTIME_DIRECTORY: runtimeDir, XDG_RUNTIME_DIR: '/nowhere' }, uid: 54_321 });
    await runProgram(['health'], misled);
    expect(misled.printed.out + misled.printed.err).not.toContain(runtimeDir);
  });

  it.skipIf(process.getuid?.() !== 0)('is 4 at once for a user who may not connect (skipped: needs root)', async () => {
    await startBroker('SERVING');
    chmodSync(controlSocket, 0o600);
    chmodSync(runtimeDir, 0o755);
    process.seteuid?.(65_534);
    try {
      for (const wait of [[], ['--wait-ms', '86400000']]) {
        expect(await health(...wait)).toMatchObject({ exitCode: 4, err: expect.stringContaining('may not connect') });
      }
    } finally {
      process.seteuid?.(0);
    }
  });
});
