/** Streams of requests, against a real grpc-js server on a Unix socket, in front of a domain that touches no memory. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import {
  createServiceClient,
  type KeepAliveRequest,
  LeaseholdError,
  LeaseService,
  type ServiceImplementation,
  serviceDefinition,
} from '@leasehold/proto';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../domain/limits.ts';
import type { Session } from '../domain/session.ts';
import { type FakeWorld, fakeWorld } from '../domain/testing/fake-ports.ts';
import { CallTurns } from './call-turns.ts';
import { bidiStream } from './handlers.ts';
import type { RpcContext } from './rpc-context.ts';

const PEER = { pid: 1, uid: 1000, gid: 1000, groups: [] };
type Answer = { holdId: bigint; lostReason?: string };

let directory: string;
let server: grpc.Server;
let channel: grpc.Client;
let world: FakeWorld;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'leasehold-broker-'));
  server = new grpc.Server();
  world = fakeWorld({ limits: { ...DEFAULT_LIMITS, pendingStreamMessages: 4 } });
});

afterEach(() => {
  channel.close();
  server.forceShutdown();
  rmSync(directory, { recursive: true });
});

function context(): RpcContext {
  const { core, clock } = world;
  const facts = { version: '', pid: 1, uid: 1000, startTimeMs: 0, runtimeDir: directory };
  const logger = pino({ level: 'silent' });
  return {
    core,
    clock,
    logger,
    facts,
    watches: new WeakMap(),
    callers: new WeakMap(),
    turns: new CallTurns(8),
    hugePages: () => [],
    peerOf: () => PEER,
    onDrain: () => undefined,
  };
}

/** A session whose streams are answered by `answer`, and what of it was asked. */
async function serve(answer: (request: KeepAliveRequest, caller: Session) => Answer) {
  const asked: bigint[] = [];
  const handlers: Partial<ServiceImplementation<typeof LeaseService>> = {
    keepAlive: bidiStream(context(), (caller) => (request) => {
      asked.push(request.holdId);
      return answer(request, caller);
    }),
    getLease: (_, callback) => callback(null, {}),
  };
  server.addService(serviceDefinition(LeaseService), handlers as ServiceImplementation<typeof LeaseService>);
  const address = `unix:${join(directory, 'control.sock')}`;
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve()));
  });
  channel = new grpc.Client(address, grpc.credentials.createInsecure());
  const client = createServiceClient(LeaseService, channel);
  const { session, token } = world.core.openSession(PEER, 'test', null);
  const metadata = new grpc.Metadata();
  metadata.set('authorization', `Bearer ${Buffer.from(token).toString('base64url')}`);
  /** One connection keeps order: what was sent before these has come. */
  const settle = async () => {
    for (let round = 0; round < 20; round++) await client.getLease({});
  };
  return { client, session, metadata, asked, settle };
}

describe('a stream of requests', () => {
  it('answers each in order, as the session that asks, and ends after the last', async () => {
    const callers = new Set<Session>();
    const { client, session, metadata } = await serve(({ holdId }, caller) => {
      callers.add(caller);
      return { holdId };
    });
    const stream = client.keepAlive({ metadata });
    for (let holdId = 1n; holdId <= 50n; holdId++) await stream.send({ holdId });
    stream.end();
    const answered: bigint[] = [];
    for await (const { holdId } of stream) answered.push(holdId);
    expect(answered).toEqual(Array.from({ length: 50 }, (_, index) => BigInt(index + 1)));
    expect(callers).toEqual(new Set([session]));
  });

  it('ends with the failure of one, and does nothing of what came after it', async () => {
    const { client, metadata, asked, settle } = await serve(({ holdId }) => {
      if (holdId === 2n) throw new LeaseholdError('PERMISSION_DENIED', 'Not this one.');
      return { holdId };
    });
    const stream = client.keepAlive({ metadata });
    // At once, so that the third is there before the end of the stream has reached its sender.
    await Promise.all([1n, 2n, 3n].map((holdId) => stream.send({ holdId })));
    expect(await stream.next()).toMatchObject({ value: { holdId: 1n } });
    await expect(stream.next()).rejects.toMatchObject({ code: 'PERMISSION_DENIED', message: 'Not this one.' });
    await settle();
    expect(asked).toEqual([1n, 2n]);
  });

  it('is not read while its answers are not, and loses none of them', async () => {
    const requests = 300;
    const lostReason = 'x'.repeat(2 ** 16);
    const { client, metadata, asked, settle } = await serve(({ holdId }) => ({ holdId, lostReason }));
    const stream = client.keepAlive({ metadata });
    for (let holdId = 0n; holdId < requests; holdId++) await stream.send({ holdId });
    stream.end();
    await settle();
    // 16 answers wait here, 16 at the reader, and what the transport takes between them.
    expect(asked.length).toBeLessThan(requests / 2);
    const answered: bigint[] = [];
    for await (const { holdId } of stream) answered.push(holdId);
    expect(answered).toEqual(Array.from({ length: requests }, (_, index) => BigInt(index)));
  });

  it('ends with its session', async () => {
    const { client, session, metadata } = await serve(({ holdId }) => ({ holdId }));
    const stream = client.keepAlive({ metadata });
    await stream.send({ holdId: 1n });
    await stream.next();
    const waiting = expect(stream.next()).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    world.core.endSession(session, true);
    await waiting;
  });

  it('is refused without a session', async () => {
    const { client, asked, settle } = await serve(({ holdId }) => ({ holdId }));
    const stream = client.keepAlive();
    await stream.send({ holdId: 1n });
    await expect(stream.next()).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    await settle();
    expect(asked).toEqual([]);
  });
});
