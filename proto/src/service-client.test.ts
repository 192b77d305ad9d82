// The glue against a real grpc-js server on a Unix socket.
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MappingEvent, MappingService } from '../gen/leasehold/v1/mapping_pb.js';
import { LeaseholdError } from './leasehold-error.ts';
import { createServiceClient, type ServiceClient } from './service-client.ts';
import { type ServiceImplementation, serviceDefinition } from './service-definition.ts';
import { toServiceError } from './status-details.ts';

type Handlers = ServiceImplementation<typeof MappingService>;
const notFound = () =>
  toServiceError(new LeaseholdError('MAPPING_NOT_FOUND', 'No mapping x.', { metadata: { name: 'x' } }));

let directory: string;
let server: grpc.Server;
let channel: grpc.Client;

/** A server of these handlers, every other method unimplemented, and a client of it. */
async function serve(handlers: Partial<Handlers>): Promise<ServiceClient<typeof MappingService>> {
  const address = `unix:${join(directory, 'control.sock')}`;
  server.addService(serviceDefinition(MappingService), handlers as Handlers);
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve()));
  });
  channel = new grpc.Client(address, grpc.credentials.createInsecure());
  return createServiceClient(MappingService, channel);
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'leasehold-proto-'));
  server = new grpc.Server();
});

afterEach(() => {
  channel?.close();
  server.forceShutdown();
  rmSync(directory, { recursive: true });
});

describe('unary calls', () => {
  it('carry the request, its headers and the response', async () => {
    const client = await serve({
      getMapping: (call, callback) => {
        const creator = { name: String(call.metadata.get('authorization')[0]) };
        callback(null, { mapping: { name: call.request.name, id: 2n ** 63n, creator } });
      },
    });
    const metadata = new grpc.Metadata();
    metadata.set('authorization', 'Bearer abc');
    const { mapping } = await client.getMapping({ name: 'a/b' }, { metadata });
    expect(mapping).toMatchObject({ name: 'a/b', id: 2n ** 63n, creator: { name: 'Bearer abc' } });
  });

  it('fail with the reason the server gave', async () => {
    const client = await serve({ getMapping: (_, callback) => callback(notFound()) });
    const expected = { code: 'MAPPING_NOT_FOUND', message: 'No mapping x.', metadata: { name: 'x' }, retryable: false };
    await expect(client.getMapping({ name: 'x' })).rejects.toMatchObject(expected);
  });

  it('are cancelled on the server when the signal aborts', async () => {
    const { promise: arrived, resolve: arrive } = Promise.withResolvers<grpc.ServerUnaryCall<unknown, unknown>>();
    const client = await serve({ getMapping: arrive });
    const abort = new AbortController();
    const pending = expect(client.getMapping({ name: 'x' }, { signal: abort.signal })).rejects.toMatchObject({
      code: 'ABORTED',
      cause: 'enough',
    });
    const call = await arrived;
    const cancelled = once(call, 'cancelled');
    abort.abort('enough');
    await Promise.all([pending, cancelled]);
  });

  it('are refused before they are sent when a number does not fit in its field', async () => {
    const client = await serve({ createMapping: (_, callback) => callback(null, {}) });
    for (const maxParticipants of [-1, 1.5, 2 ** 32, Number.NaN]) {
      const sent = client.createMapping({ name: 'x', maxParticipants });
      await expect(sent).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining('max_participants'),
      });
    }
  });

  it('are not sent when the signal is aborted already', async () => {
    let calls = 0;
    const client = await serve({ getMapping: () => calls++ });
    await expect(client.getMapping({}, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORTED' });
    expect(calls).toBe(0);
  });

  it('end with TIMED_OUT at their deadline', async () => {
    const client = await serve({ getMapping: () => undefined });
    await expect(client.getMapping({}, { deadlineMs: 1 })).rejects.toMatchObject({ code: 'TIMED_OUT' });
  });

  it('say that the broker does not know a method, that it is gone, or that the client is closed', async () => {
    const client = await serve({});
    await expect(client.deleteMapping({})).rejects.toMatchObject({ code: 'UNSUPPORTED_VERSION' });
    server.forceShutdown();
    await expect(client.deleteMapping({})).rejects.toMatchObject({ code: 'BROKER_LOST' });
    channel.close();
    await expect(client.deleteMapping({})).rejects.toMatchObject({ code: 'CLOSED' });
  });
});

describe('server streams', () => {
  const event = MappingEvent.CREATED;

  it('deliver every message in order and end with the server', async () => {
    const client = await serve({
      watchMappings: (call) => {
        for (let id = 1n; id <= 100n; id++) call.write({ event, mapping: { id } });
        call.end();
      },
    });
    const ids: (bigint | undefined)[] = [];
    for await (const { mapping } of client.watchMappings({ prefix: '' })) ids.push(mapping?.id);
    expect(ids).toEqual(Array.from({ length: 100 }, (_, index) => BigInt(index + 1)));
  });

  it('deliver what came before an error, then the error, and are done', async () => {
    const fail = new AbortController();
    const client = await serve({
      watchMappings: (call) => {
        call.write({ event });
        fail.signal.addEventListener('abort', () => call.emit('error', notFound()));
      },
    });
    const stream = client.watchMappings({});
    expect(await stream.next()).toMatchObject({ done: false, value: { event } });
    fail.abort();
    await expect(stream.next()).rejects.toMatchObject({ code: 'MAPPING_NOT_FOUND' });
    expect(await stream.next()).toMatchObject({ done: true });
  });

  it('keep an error for a reader who comes after it', async () => {
    const client = await serve({
      watchMappings: (call) => call.emit('error', notFound()),
      getMapping: (_, callback) => callback(null, {}),
    });
    const stream = client.watchMappings({});
    // One connection keeps order: after these answers the error is here.
    for (let round = 0; round < 3; round++) await client.getMapping({});
    await expect(stream.next()).rejects.toMatchObject({ code: 'MAPPING_NOT_FOUND' });
  });

  it('are cancelled on the server when the reader leaves its loop', async () => {
    const { promise: cancelled, resolve: cancel } = Promise.withResolvers<void>();
    const client = await serve({
      watchMappings: (call) => {
        call.on('cancelled', cancel);
        call.write({ event });
      },
    });
    for await (const message of client.watchMappings({})) {
      expect(message.event).toBe(event);
      break;
    }
    await cancelled;
  });

  it('settle a waiting next() when they are returned, and stay done', async () => {
    const client = await serve({ watchMappings: (call) => call.write({ event }) });
    const stream = client.watchMappings({});
    await stream.next();
    const waiting = stream.next();
    await stream.return();
    expect(await waiting).toMatchObject({ done: true });
    expect(await stream.next()).toMatchObject({ done: true });
  });

  it('end with ABORTED when the signal aborts, on both sides', async () => {
    const { promise: cancelled, resolve: cancel } = Promise.withResolvers<void>();
    const client = await serve({
      watchMappings: (call) => {
        call.on('cancelled', cancel);
        call.write({ event });
      },
    });
    const abort = new AbortController();
    const stream = client.watchMappings({}, { signal: abort.signal });
    await stream.next();
    const waiting = expect(stream.next()).rejects.toMatchObject({ code: 'ABORTED', cause: 'enough' });
    abort.abort('enough');
    await Promise.all([waiting, cancelled]);
    expect(() => client.watchMappings({}, { signal: abort.signal })).toThrow(
      expect.objectContaining({ code: 'ABORTED' }),
    );
  });

  it('stop the sender when the reader does not read', async () => {
    const messagesMax = 200;
    const name = 'x'.repeat(2 ** 20);
    let written = 0;
    const { promise: full, resolve: fill } = Promise.withResolvers<void>();
    const client = await serve({
      watchMappings: (call) => {
        const writeMore = () => {
          while (written < messagesMax) {
            written++;
            if (!call.write({ event, mapping: { name } })) break;
          }
          fill();
          if (written < messagesMax) call.once('drain', writeMore);
        };
        writeMore();
      },
      getMapping: (_, callback) => callback(null, {}),
    });
    const stream = client.watchMappings({});
    await full;
    for (let round = 0; round < 50; round++) await client.getMapping({});
    // 200 MiB are on offer; what fits is 16 in the reader's queue, and 16 or 32 in the sender's.
    expect(written).toBeLessThan(50);
    for (let taken = 0; taken < 50; taken++) await stream.next();
    expect(written).toBeGreaterThanOrEqual(50);
    await stream.return();
  });
});
