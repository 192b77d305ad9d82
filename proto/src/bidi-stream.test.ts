// Streams in both directions against a real grpc-js server on a Unix socket.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import * as grpc from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KeepAliveRequestSchema, LeaseService } from '../gen/leasehold/v1/lease_pb.js';
import { UNSENT_MESSAGES_MAX } from './bidi-stream.ts';
import { LeaseholdError } from './leasehold-error.ts';
import { createServiceClient, type ServiceClient } from './service-client.ts';
import { type ServiceImplementation, serviceDefinition } from './service-definition.ts';
import { toServiceError } from './status-details.ts';

type Handlers = ServiceImplementation<typeof LeaseService>;
const notFound = () => toServiceError(new LeaseholdError('LEASE_NOT_FOUND', 'No lease 7.'));

let directory: string;
let server: grpc.Server;
let channel: grpc.Client;

async function serve(keepAlive: Handlers['keepAlive']): Promise<ServiceClient<typeof LeaseService>> {
  const address = `unix:${join(directory, 'control.sock')}`;
  server.addService(serviceDefinition(LeaseService), { keepAlive, getLease } as Handlers);
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve()));
  });
  channel = new grpc.Client(address, grpc.credentials.createInsecure());
  return createServiceClient(LeaseService, channel);
}

const getLease: Handlers['getLease'] = (_, callback) => callback(null, {});

/** Answers each request with its own hold id, and ends when the requests end. */
const echo: Handlers['keepAlive'] = (call) => {
  call.on('data', ({ holdId }: { holdId: bigint }) => call.write({ holdId, timeLeftMs: 5 }));
  call.on('end', () => call.end());
};

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'leasehold-proto-'));
  server = new grpc.Server();
});

afterEach(() => {
  channel?.close();
  server.forceShutdown();
  rmSync(directory, { recursive: true });
});

describe('streams in both directions', () => {
  it('carry every message in order, each way, until both have ended', async () => {
    const client = await serve(echo);
    const stream = client.keepAlive();
    const sending = (async () => {
      for (let holdId = 1n; holdId <= 1000n; holdId++) await stream.send({ mappingId: 3n, holdId });
      stream.end();
    })();
    const answered: bigint[] = [];
    for await (const { holdId } of stream) answered.push(holdId);
    await sending;
    expect(answered).toEqual(Array.from({ length: 1000 }, (_, index) => BigInt(index + 1)));
  });

  it('carry headers', async () => {
    const client = await serve((call) => {
      call.write({ lostReason: String(call.metadata.get('authorization')[0]) });
      call.end();
    });
    const metadata = new grpc.Metadata();
    metadata.set('authorization', 'Bearer abc');
    expect(await client.keepAlive({ metadata }).next()).toMatchObject({ value: { lostReason: 'Bearer abc' } });
  });

  it('take an answer after the last request', async () => {
    const client = await serve((call) => {
      call.resume();
      call.on('end', () => {
        call.write({ holdId: 9n });
        call.end();
      });
    });
    const stream = client.keepAlive();
    stream.end();
    await expect(stream.send({ holdId: 1n })).rejects.toMatchObject({ code: 'CLOSED' });
    expect(await stream.next()).toMatchObject({ value: { holdId: 9n } });
    expect(await stream.next()).toMatchObject({ done: true });
  });

  it('fail on both sides with the reason the server gave', async () => {
    const client = await serve((call) => call.once('data', () => call.emit('error', notFound())));
    const stream = client.keepAlive();
    await stream.send({ holdId: 7n });
    await expect(stream.next()).rejects.toMatchObject({ code: 'LEASE_NOT_FOUND', message: 'No lease 7.' });
    await expect(stream.send({ holdId: 7n })).rejects.toMatchObject({ code: 'LEASE_NOT_FOUND' });
  });

  it('refuse to send what the server, which has ended well, would not see', async () => {
    const client = await serve((call) => call.end());
    const stream = client.keepAlive();
    expect(await stream.next()).toMatchObject({ done: true });
    await expect(stream.send({ holdId: 1n })).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('refuse a number that does not fit in its field, and go on', async () => {
    const client = await serve(echo);
    const stream = client.keepAlive();
    await expect(stream.send({ ttlMs: -1 })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('ttl_ms'),
    });
    await stream.send({ holdId: 1n });
    expect(await stream.next()).toMatchObject({ value: { holdId: 1n } });
    await stream.return();
  });

  it('bound what is not sent yet, and send all that was taken', async () => {
    const client = await serve(echo);
    const stream = client.keepAlive();
    const sends = Array.from({ length: UNSENT_MESSAGES_MAX }, (_, index) => stream.send({ holdId: BigInt(index) }));
    await expect(stream.send({ holdId: 99n })).rejects.toMatchObject({ code: 'INVALID_STATE' });
    await Promise.all(sends);
    await stream.send({ holdId: 100n });
    stream.end();
    const answered: bigint[] = [];
    for await (const { holdId } of stream) answered.push(holdId);
    expect(answered).toEqual([...sends.map((_, index) => BigInt(index)), 100n]);
  });

  it('hold back the sender when the server does not read', async () => {
    const client = await serve(() => undefined);
    const request = create(KeepAliveRequestSchema);
    const data = new BinaryWriter().bytes(new Uint8Array(2 ** 20)).finish();
    request.$unknown = [{ no: 100, wireType: WireType.LengthDelimited, data }];
    const stream = client.keepAlive();
    let sent = 0;
    const sends = Array.from({ length: UNSENT_MESSAGES_MAX }, () => stream.send(request).then(() => sent++));
    const outcomes = Promise.allSettled(sends);
    for (let round = 0; round < 50; round++) await client.getLease({});
    // 64 MiB are on offer; what fits is what the transport keeps, far below half of it.
    expect(sent).toBeLessThan(UNSENT_MESSAGES_MAX / 2);
    await stream.return();
    const closed = expect.objectContaining({ reason: expect.objectContaining({ code: 'CLOSED' }) });
    expect((await outcomes).slice(sent)).toEqual(Array(UNSENT_MESSAGES_MAX - sent).fill(closed));
  });

  it('are cancelled on the server when the reader leaves its loop', async () => {
    const { promise: cancelled, resolve: cancel } = Promise.withResolvers<void>();
    const client = await serve((call) => {
      call.on('cancelled', cancel);
      call.write({ holdId: 1n });
    });
    const stream = client.keepAlive();
    for await (const { holdId } of stream) {
      expect(holdId).toBe(1n);
      break;
    }
    await cancelled;
    await expect(stream.send({ holdId: 1n })).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('end with ABORTED when the signal aborts, for the reader and the sender', async () => {
    const { promise: cancelled, resolve: cancel } = Promise.withResolvers<void>();
    const client = await serve((call) => {
      call.on('cancelled', cancel);
      call.write({ holdId: 1n });
    });
    const abort = new AbortController();
    const stream = client.keepAlive({ signal: abort.signal });
    await stream.next();
    const waiting = expect(stream.next()).rejects.toMatchObject({ code: 'ABORTED', cause: 'enough' });
    abort.abort('enough');
    await expect(stream.send({ holdId: 1n })).rejects.toMatchObject({ code: 'ABORTED' });
    await Promise.all([waiting, cancelled]);
    expect(() => client.keepAlive({ signal: abort.signal })).toThrow(expect.objectContaining({ code: 'ABORTED' }));
  });

  it('end with BROKER_LOST for reader and sender when the server goes', async () => {
    const client = await serve((call) => call.write({ holdId: 1n }));
    const stream = client.keepAlive();
    await stream.next();
    const waiting = expect(stream.next()).rejects.toMatchObject({ code: 'BROKER_LOST' });
    server.forceShutdown();
    await waiting;
    await expect(stream.send({ holdId: 1n })).rejects.toMatchObject({ code: 'BROKER_LOST' });
  });
});
