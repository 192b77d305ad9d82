/** A real broker, real sockets, real memory; clients that speak the protocol themselves. */
import { existsSync, readdirSync } from 'node:fs';
import { IfExists, Lifetime } from '@leasehold/proto';
import { createLinuxSegmentOs, type OwnedFd, receivePacket } from '@leasehold/shm-core/internal';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AttachClient, READ, WRITE } from './testing/attach-client.ts';
import { closeAll, createMapping, PAGES, useTestBroker } from './testing/fixture.ts';
import { eventually, openDescriptors, rpcClient } from './testing/test-broker.ts';

const { running, restart, keep, client, closeClients } = useTestBroker({ beforeEach, afterEach });

describe('a session', () => {
  it('opens with a Hello and works over gRPC with its token', async () => {
    const me = await client('camera');
    const { sessions } = await me.sessions.listSessions({}, me.options);
    expect(sessions).toHaveLength(1);
    expect(sessions[0]).toMatchObject({ attached: true, principal: { pid: process.pid, uid: 0, name: 'camera' } });
    // The session's, and the broker's own.
    expect(readdirSync(running().runtimeDir.bellsDir)).toHaveLength(2);
  });

  it('ends with its attach connection, and its token with it', async () => {
    const me = await client();
    me.attach.close();
    await eventually(() => running().broker.snapshot().sessions === 0);
    await expect(me.sessions.listSessions({}, me.options)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(readdirSync(running().runtimeDir.bellsDir)).toHaveLength(1);
  });

  it('can live as long as a gRPC stream, but then maps nothing', async () => {
    const anonymous = rpcClient(running().runtimeDir.controlSocket);
    const stop = new AbortController();
    const stream = anonymous.sessions.openSession({ name: 'tool' }, { signal: stop.signal })[Symbol.asyncIterator]();
    const first = await stream.next();
    const tool = rpcClient(running().runtimeDir.controlSocket, first.value?.token);
    await tool.mappings.createMapping({ name: 'm', sizeBytes: 1n, ...PAGES }, tool.options);
    await expect(tool.mappings.attachMapping({ name: 'm', access: READ }, tool.options)).rejects.toMatchObject({
      code: 'INVALID_STATE',
    });
    stop.abort();
    await eventually(
      () => running().broker.snapshot().sessions === 0 && running().broker.snapshot().mappings.length === 0,
    );
    anonymous.close();
    tool.close();
  });

  it('that is evicted loses its connection and its streams', async () => {
    const [admin, victim] = [await client('admin'), await client('victim')];
    const watching = victim.sessions.watchSession({}, victim.options)[Symbol.asyncIterator]();
    const told = watching.next().catch((error: unknown) => error);
    await victim.mappings.listMappings({}, victim.options);
    await admin.sessions.evictSession({ sessionId: victim.sessionId }, admin.options);
    expect(await told).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(await victim.attach.receive()).toBeNull();
  });

  it('of another user is refused by default, and says who may', async () => {
    await restart({ policy: (peer) => ({ allowed: peer.uid !== 0, why: 'only others' }) });
    const attach = new AttachClient(running().runtimeDir.attachSocket);
    keep(attach);
    const answer = await attach.ask({ case: 'hello', value: { protocolVersion: 1, name: '' } });
    expect(answer.said).toMatchObject({ case: 'refused', value: { reason: 'PERMISSION_DENIED' } });
    expect(await attach.receive()).toBeNull();
    const anonymous = rpcClient(running().runtimeDir.controlSocket);
    keep(anonymous);
    await expect(anonymous.admin.getBrokerInfo({})).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  });
});

describe('a mapping', () => {
  it('is created, attached and claimed: a reader gets what it cannot write, a writer what it can', async () => {
    const me = await client();
    const { mapping, created } = await createMapping(me, 'calibration');
    expect(created).toBe(true);
    expect(mapping?.memory).toMatchObject({ payloadBytes: 10_000n, mappedBytes: 12_288n });
    const os = createLinuxSegmentOs();
    const held: OwnedFd[] = [];
    const attachAs = async (access: typeof READ | typeof WRITE) => {
      const { attachment } = await me.mappings.attachMapping({ name: 'calibration', access }, me.options);
      const { grant, fds } = await me.attach.claim(attachment?.ticket ?? new Uint8Array());
      held.push(...fds);
      expect(grant.roles).toHaveLength(3);
      return { data: fds[0] as OwnedFd, bytes: Number(grant.roles[0]?.bytes) };
    };
    const writer = await attachAs(WRITE);
    const reader = await attachAs(READ);
    const written = os.map(writer.data, writer.bytes, 'write', 'base');
    const read = os.map(reader.data, reader.bytes, 'read', 'base');
    written.bytes(0, 8).fill(42);
    expect(read.bytes(0, 8)[7]).toBe(42);
    expect(() => os.map(reader.data, reader.bytes, 'write', 'base')).toThrow(/EACCES/);
    written.release();
    read.release();
    closeAll(held);
  });

  it('is opened again when the same is asked for, and refused with what differs when not', async () => {
    const me = await client();
    await createMapping(me, 'm');
    const ask = { name: 'm', sizeBytes: 10_000n, ...PAGES };
    const open = { ifExists: IfExists.OPEN_IF_SAME };
    await expect(me.mappings.createMapping(ask, me.options)).rejects.toMatchObject({ code: 'MAPPING_EXISTS' });
    expect(await me.mappings.createMapping({ ...ask, ...open }, me.options)).toMatchObject({ created: false });
    await expect(me.mappings.createMapping({ ...ask, ...open, sizeBytes: 5n }, me.options)).rejects.toMatchObject({
      code: 'SPEC_MISMATCH',
      metadata: { payloadBytes: 'is 10000, asked for 5' },
    });
  });

  it('is refused for sizes that cannot be', async () => {
    const me = await client();
    const create = (sizeBytes: bigint) => me.mappings.createMapping({ name: 'm', sizeBytes, ...PAGES }, me.options);
    await expect(create(0n)).rejects.toMatchObject({ code: 'INVALID_SIZE' });
    await expect(create(2n ** 53n)).rejects.toMatchObject({ code: 'INVALID_SIZE' });
    await expect(create(2n ** 64n - 1n)).rejects.toMatchObject({ code: 'INVALID_SIZE' });
    await expect(create(2n ** 50n)).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED' });
  });

  it('loses its name at once when it is deleted, and whoever is attached is told and rung', async () => {
    const me = await client();
    const watching = me.sessions.watchSession({}, me.options)[Symbol.asyncIterator]();
    await createMapping(me, 'm');
    const { attachment } = await me.mappings.attachMapping({ name: 'm', access: READ }, me.options);
    closeAll((await me.attach.claim(attachment?.ticket ?? new Uint8Array())).fds);
    await me.mappings.deleteMapping({ name: 'm' }, me.options);
    await expect(me.mappings.getMapping({ name: 'm' }, me.options)).rejects.toMatchObject({
      code: 'MAPPING_NOT_FOUND',
    });
    const { value } = await watching.next();
    expect(value?.event).toMatchObject({ case: 'mappingDeleted', value: { name: 'm' } });
    expect(receivePacket(me.bell, 64, 0)).toMatchObject({ kind: 'packet' });
    expect(running().broker.snapshot().memory.chargedBytes).toBeGreaterThan(0);
    await me.mappings.detachMapping({ attachmentId: attachment?.attachmentId ?? 0n }, me.options);
    expect(running().broker.snapshot().memory.chargedBytes).toBe(0);
  });

  it('is forgotten with its creator unless it is persistent', async () => {
    const me = await client();
    await createMapping(me, 'gone');
    await createMapping(me, 'kept', Lifetime.PERSISTENT);
    me.attach.close();
    await eventually(() => running().broker.snapshot().sessions === 0);
    expect(
      running()
        .broker.snapshot()
        .mappings.map(({ name }) => name),
    ).toEqual(['kept']);
  });

  it('that is cancelled while it is made leaves nothing', async () => {
    const me = await client();
    const stop = new AbortController();
    const big = me.mappings.createMapping(
      { name: 'big', sizeBytes: 1n << 28n, ...PAGES },
      { ...me.options, signal: stop.signal },
    );
    await eventually(() => running().broker.snapshot().memory.chargedBytes > 0);
    stop.abort();
    await expect(big).rejects.toMatchObject({ code: 'ABORTED' });
    await eventually(() => running().broker.snapshot().memory.chargedBytes === 0);
    expect(running().broker.snapshot().mappings).toEqual([]);
  });
});

describe('the broker', () => {
  it('tells its sessions when it drains, takes nothing new, and is done when they have left', async () => {
    const me = await client();
    const watching = me.sessions.watchSession({}, me.options)[Symbol.asyncIterator]();
    const draining = running().broker.drain(60_000);
    expect((await watching.next()).value?.event?.case).toBe('draining');
    expect(running().broker.readiness().ready).toBe(false);
    await expect(createMapping(me, 'late')).rejects.toMatchObject({ code: 'DRAINING' });
    const late = new AttachClient(running().runtimeDir.attachSocket);
    keep(late);
    const answer = await late.ask({ case: 'hello', value: { protocolVersion: 1, name: '' } });
    expect(answer.said).toMatchObject({ case: 'refused', value: { reason: 'DRAINING' } });
    me.attach.close();
    await draining;
  });

  it('closes for good when a client has it drained', async () => {
    const me = await client();
    await me.admin.drain({ drainMs: 1 }, me.options);
    await running().broker.closed;
    expect(existsSync(running().runtimeDir.attachSocket)).toBe(false);
    expect(existsSync(running().runtimeDir.controlSocket)).toBe(false);
  });

  it('gives every descriptor back when it closes, whatever is still open', async () => {
    await running().stop();
    const warm = openDescriptors();
    await restart();
    const me = await client();
    await createMapping(me, 'm', Lifetime.PERSISTENT);
    await me.mappings.attachMapping({ name: 'm', access: WRITE }, me.options);
    closeClients();
    await running().stop();
    await eventually(() => openDescriptors() <= warm);
  });

  it('answers health checks without a session', async () => {
    const rpc = rpcClient(running().runtimeDir.controlSocket);
    keep(rpc);
    const status = await new Promise<Buffer | undefined>((resolve, reject) => {
      rpc.client.makeUnaryRequest(
        '/grpc.health.v1.Health/Check',
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => bytes,
        Buffer.alloc(0),
        (error, response) => (error === null ? resolve(response) : reject(error)),
      );
    });
    expect(status).toEqual(Buffer.from([8, 1]));
  });
});
