import { describe, expect, it } from 'vitest';
import {
  attachMapping,
  claimPages,
  claimTicket,
  createMapping,
  deleteMapping,
  detachMapping,
  getMapping,
  watchMappings,
} from './mapping-operations.ts';
import type { Session } from './session.ts';
import type { MappingRequest } from './specification.ts';
import { type FakeWorld, fakeWorld } from './testing/fake-ports.ts';

const code = (expected: string) => expect.objectContaining({ code: expected });
const unending = () => new AbortController().signal;

const request = (more: Partial<MappingRequest> = {}): MappingRequest => ({
  name: 'm',
  sizeBytes: 5000n,
  reserveBytes: 0n,
  locked: false,
  numaNode: null,
  pages: 'never',
  lifetime: 'last-attachment',
  maxParticipants: 2,
  ...more,
});
const create = ({ core }: FakeWorld, caller: Session, more: Partial<MappingRequest> = {}, signal = unending()) =>
  createMapping(core, caller, request(more), { ifExists: 'fail', signal });
const attach = async ({ core }: FakeWorld, caller: Session, access: 'read' | 'write' = 'read') => {
  const attached = await attachMapping(core, caller, { name: 'm', access, forLeases: false });
  claimTicket(core, caller, attached.ticket.bytes);
  return attached.attachment;
};

describe('a name', () => {
  it('is taken from the moment its creation begins', async () => {
    const world = fakeWorld();
    const caller = world.open();
    const first = create(world, caller);
    await expect(create(world, caller)).rejects.toThrow(code('MAPPING_EXISTS'));
    await first;
  });

  it('that is being created is waited for by whoever would open it', async () => {
    const world = fakeWorld();
    const caller = world.open();
    const both = await Promise.all(
      [1, 2].map(() => createMapping(world.core, caller, request(), { ifExists: 'open-if-same', signal: unending() })),
    );
    expect(both.map(({ created }) => created)).toEqual([true, false]);
    expect(both[0]?.mapping).toBe(both[1]?.mapping);
  });

  it('is free again when its creation failed, and the next in line makes it', async () => {
    const world = fakeWorld();
    const caller = world.open();
    world.memory.creating = Promise.reject(new Error('no'));
    const failing = create(world, caller);
    const waiting = createMapping(world.core, caller, request(), { ifExists: 'open-if-same', signal: unending() });
    world.memory.creating = Promise.resolve();
    await expect(failing).rejects.toThrow(code('INTERNAL'));
    expect((await waiting).created).toBe(true);
  });

  it('whose creation is being undone is waited for, and then had', async () => {
    const world = fakeWorld();
    const caller = world.open();
    const given = Promise.withResolvers<void>();
    world.memory.creating = given.promise;
    const cancelled = new AbortController();
    const first = create(world, caller, {}, cancelled.signal);
    cancelled.abort();
    const second = create(world, caller);
    given.resolve();
    await expect(first).rejects.toThrow(code('ABORTED'));
    expect((await second).created).toBe(true);
  });

  it('is given to as many as the broker may have, those being made counted too', async () => {
    const world = fakeWorld({ quotas: { total: { mappings: 1 } } });
    const caller = world.open();
    const first = create(world, caller);
    await expect(create(world, caller, { name: 'n' })).rejects.toThrow(code('QUOTA_EXCEEDED'));
    await first;
  });
});

describe('a creation', () => {
  it('that is cancelled leaves neither name nor memory nor charge', async () => {
    const world = fakeWorld();
    const caller = world.open();
    const stop = new AbortController();
    const creating = create(world, caller, {}, stop.signal);
    stop.abort();
    await expect(creating).rejects.toThrow(code('ABORTED'));
    expect(world.core.registry.list()).toEqual([]);
    expect(world.core.quota.chargedBytes).toBe(0);
    await create(world, caller);
  });

  it('dies with its session, even a persistent one', async () => {
    const world = fakeWorld();
    const caller = world.open();
    const creating = create(world, caller, { lifetime: 'persistent' });
    world.core.endSession(caller, true);
    await expect(creating).rejects.toThrow(code('UNAUTHENTICATED'));
    expect(world.core.registry.list()).toEqual([]);
    expect(world.core.quota.chargedBytes).toBe(0);
  });

  it('that waits for another of the same name can be cancelled', async () => {
    const world = fakeWorld();
    const caller = world.open();
    const { promise, resolve } = Promise.withResolvers<void>();
    world.memory.creating = promise;
    const first = create(world, caller);
    const stop = new AbortController();
    const options = { ifExists: 'open-if-same', signal: stop.signal } as const;
    const waiting = createMapping(world.core, caller, request(), options);
    stop.abort();
    await expect(waiting).rejects.toThrow(code('ABORTED'));
    resolve();
    await first;
  });
});

describe('a mapping', () => {
  it('is kept by its creator and by every attachment, and forgotten after the last of them', async () => {
    const world = fakeWorld();
    const [creator, reader] = [world.open(), world.open()];
    await create(world, creator);
    const attachment = await attach(world, reader);
    world.core.endSession(creator, true);
    expect(getMapping(world.core, reader, 'm')).toBeDefined();
    detachMapping(world.core, reader, attachment.id);
    expect(() => getMapping(world.core, reader, 'm')).toThrow(code('MAPPING_NOT_FOUND'));
    expect(world.memory.mappings[0]?.closed).toBe(true);
    expect(world.core.quota.chargedBytes).toBe(0);
  });

  it('that nobody keeps loses its name at once, its memory when the last process is gone', async () => {
    const world = fakeWorld();
    const creator = world.open();
    await create(world, creator);
    await attach(world, creator, 'write');
    world.core.endSession(creator, false);
    expect(world.core.registry.find('m')).toBeUndefined();
    expect(world.memory.mappings[0]?.closed).toBe(false);
    expect(world.core.quota.chargedBytes).toBeGreaterThan(0);
    world.core.processGone(creator);
    expect(world.memory.mappings[0]?.closed).toBe(true);
    expect(world.core.quota.chargedBytes).toBe(0);
  });

  it('that is deleted frees its name, is marked, and everybody attached is rung', async () => {
    const world = fakeWorld();
    const [creator, reader] = [world.open(), world.open()];
    await create(world, creator);
    await attach(world, reader);
    const events: unknown[] = [];
    reader.watch((event) => events.push(event));
    deleteMapping(world.core, creator, 'm');
    expect(world.memory.mappings[0]?.log).toContain('deleted');
    expect(world.rings).toEqual(['2 0']);
    expect(events).toEqual([{ kind: 'mapping-deleted', name: 'm', mappingId: 1n }]);
    await create(world, creator);
    expect(world.memory.mappings[0]?.closed).toBe(false);
    world.core.endSession(reader, true);
    expect(world.memory.mappings[0]?.closed).toBe(true);
  });

  it('has as many participants as it was made for, those not known to be gone counted too', async () => {
    const world = fakeWorld();
    const [a, b, c] = [world.open(), world.open(), world.open()];
    await create(world, a);
    await attach(world, a);
    await attach(world, b);
    await expect(attach(world, c)).rejects.toThrow(code('PARTICIPANTS_EXHAUSTED'));
    world.core.endSession(b, false);
    await expect(attach(world, c)).rejects.toThrow(code('PARTICIPANTS_EXHAUSTED'));
    world.core.processGone(b);
    expect((await attach(world, c)).place).toEqual({ index: 1, generation: 2 });
  });

  it('is watched from what is there to what happens', async () => {
    const world = fakeWorld();
    const caller = world.open();
    await create(world, caller, { name: 'a/1' });
    await create(world, caller, { name: 'b' });
    const seen: string[] = [];
    const stop = watchMappings(world.core, caller, 'a/', {
      changed: (change, { name }) => seen.push(`${change} ${name}`),
      synced: () => seen.push('synced'),
    });
    await create(world, caller, { name: 'a/2' });
    deleteMapping(world.core, caller, 'a/1');
    deleteMapping(world.core, caller, 'b');
    stop();
    deleteMapping(world.core, caller, 'a/2');
    expect(seen).toEqual(['created a/1', 'synced', 'created a/2', 'deleted a/1']);
  });
});

describe('an attachment', () => {
  it('whose ticket nobody claims is taken back', async () => {
    const world = fakeWorld();
    const caller = world.open();
    await create(world, caller);
    const before = world.core.quota.chargedBytes;
    const { ticket } = await attachMapping(world.core, caller, { name: 'm', access: 'read', forLeases: false });
    world.clock.advance(9999);
    expect(caller.attachments.size).toBe(1);
    world.clock.advance(1);
    expect(caller.attachments.size).toBe(0);
    expect(world.core.quota.chargedBytes).toBe(before);
    expect(() => claimTicket(world.core, caller, ticket.bytes)).toThrow(code('TICKET_INVALID'));
  });

  it('that was claimed in time has no timer left', async () => {
    const world = fakeWorld();
    const caller = world.open();
    await create(world, caller);
    await attach(world, caller);
    expect(world.clock.pendingTimers).toBe(0);
    world.clock.advance(60_000);
    expect(caller.attachments.size).toBe(1);
  });

  it('whose session ends while its page is made leaves nothing', async () => {
    const world = fakeWorld();
    const [creator, joiner] = [world.open(), world.open()];
    await create(world, creator);
    const before = world.core.quota.chargedBytes;
    const joining = attachMapping(world.core, joiner, { name: 'm', access: 'read', forLeases: false });
    world.core.endSession(joiner, false);
    await expect(joining).rejects.toThrow(code('UNAUTHENTICATED'));
    expect(joiner.vacated).toBe(true);
    expect(world.memory.mappings[0]?.joined.size).toBe(0);
    expect(world.core.quota.chargedBytes).toBe(before);
    expect((await attach(world, creator)).place.index).not.toBeNaN();
  });

  it('whose page cannot be made gives its place back', async () => {
    const world = fakeWorld();
    const caller = world.open();
    await create(world, caller, { maxParticipants: 1 });
    const [memory] = world.memory.mappings;
    if (memory === undefined) throw new Error('no memory');
    memory.joining = Promise.reject(new Error('no'));
    await expect(attach(world, caller)).rejects.toThrow(code('INTERNAL'));
    memory.joining = Promise.resolve();
    expect((await attach(world, caller)).place).toEqual({ index: 0, generation: 2 });
  });

  it('is acknowledged by its own session, index and generation only', async () => {
    const world = fakeWorld();
    const [caller, other] = [world.open(), world.open()];
    await create(world, caller);
    const { place } = await attach(world, caller);
    world.core.acknowledge(other, 1n, place.index, place.generation);
    world.core.acknowledge(caller, 1n, place.index, place.generation + 1);
    world.core.acknowledge(caller, 9n, place.index, place.generation);
    expect(caller.attachments.size).toBe(1);
    world.core.acknowledge(caller, 1n, place.index, place.generation);
    expect(caller.attachments.size).toBe(0);
  });

  it('shows pages of others only to a writer that has claimed', async () => {
    const world = fakeWorld();
    const caller = world.open();
    await create(world, caller);
    await attach(world, caller, 'read');
    expect(() => claimPages(world.core, caller, 1n, [0])).toThrow(code('ATTACHMENT_NOT_FOUND'));
    const { ticket } = await attachMapping(world.core, caller, { name: 'm', access: 'write', forLeases: false });
    expect(() => claimPages(world.core, caller, 1n, [0])).toThrow(code('ATTACHMENT_NOT_FOUND'));
    claimTicket(world.core, caller, ticket.bytes);
    expect(claimPages(world.core, caller, 1n, [0]).mappingId).toBe(1n);
    expect(() => claimPages(world.core, caller, 1n, Array(65).fill(0))).toThrow(code('INVALID_ARGUMENT'));
  });
});
