import { describe, expect, it } from 'vitest';
import { detachSlowSubscriber, openSubscriber } from './channel-operations.ts';
import { deleteMapping, detachMapping } from './mapping-operations.ts';
import { channel, code, publish, settled, subscribe } from './testing/channel-world.ts';
import { fakeWorld } from './testing/fake-ports.ts';

describe('publishers', () => {
  it('are promoted in the order in which they came, even if an earlier page takes longer', async () => {
    const world = fakeWorld();
    const [a, b] = [world.open(), world.open()];
    await channel(world, a);
    const [memory] = world.memory.mappings;
    const { promise, resolve } = Promise.withResolvers<void>();
    if (memory !== undefined) memory.joining = promise;
    const first = publish(world, a);
    if (memory !== undefined) memory.joining = Promise.resolve();
    const second = publish(world, b);
    await settled();
    expect(second.told).toEqual(['opened', 'queued 1']);
    resolve();
    await settled();
    expect(first.told).toEqual(['opened', 'promoted']);
    expect(second.told).toEqual(['opened', 'queued 1']);
  });

  it('learn their new position, and whether the last one died', async () => {
    const world = fakeWorld();
    const [a, b, c] = [world.open(), world.open(), world.open()];
    await channel(world, a);
    const [first, second, third] = [publish(world, a), publish(world, b), publish(world, c)];
    await settled();
    world.core.endSession(a, false);
    expect(first.told).toEqual(['opened', 'promoted', 'ended UNAUTHENTICATED']);
    expect(second.told).toEqual(['opened', 'queued 1', 'promoted, previous died']);
    expect(third.told).toEqual(['opened', 'queued 2', 'queued 1']);
    // What a publisher does once it has taken over.
    world.memory.mappings[0]?.lock.storeDirty(0n);
    detachMapping(world.core, b, second.attachment.id);
    expect(second.told.at(-1)).toBe('ended well');
    expect(third.told.at(-1)).toBe('promoted');
    expect(third.tokens[0]).toBeGreaterThan(second.tokens[0] ?? 0n);
  });

  it('that leave in order leave nothing in doubt, unless their time was over', async () => {
    const world = fakeWorld();
    const [a, b, c] = [world.open(), world.open(), world.open()];
    await channel(world, a);
    const first = publish(world, a);
    await settled();
    detachMapping(world.core, a, first.attachment.id);
    const second = publish(world, b);
    await settled();
    expect(second.told.at(-1)).toBe('promoted');
    world.clock.advance(world.core.limits.leaseTtlMsDefault);
    detachMapping(world.core, b, second.attachment.id);
    const third = publish(world, c);
    await settled();
    expect(third.told.at(-1)).toBe('promoted, previous died');
  });

  it('that leave are revoked and everybody is rung before the next one is granted', async () => {
    const world = fakeWorld();
    const [a, b, c] = [world.open(), world.open(), world.open()];
    await channel(world, a);
    publish(world, a);
    publish(world, b);
    await settled();
    await subscribe(world, c);
    const memory = world.memory.mappings[0];
    memory?.log.splice(0);
    world.rings.splice(0);
    world.core.endSession(a, false);
    expect(memory?.log).toEqual(['no bell', 'bell 2']);
    expect(world.rings).toEqual(expect.arrayContaining(['2 1', '3 2']));
    // The dead one's place is not free before its process is gone.
    world.core.processGone(a);
    expect(memory?.log).toEqual(['no bell', 'bell 2', 'remove 0']);
  });

  it('hold under ids that name index and generation, and never the same twice', async () => {
    const world = fakeWorld();
    const a = world.open();
    await channel(world, a);
    const ids = new Set<bigint>();
    for (let round = 1; round <= 3; round += 1) {
      const { attachment } = publish(world, a);
      await settled();
      const id = world.memory.mappings[0]?.lock.holder ?? 0n;
      expect(id >> 56n).toBe(BigInt(attachment.place.index + 1));
      expect((id >> 32n) & 0xff_ffffn).toBe(BigInt(attachment.place.generation));
      ids.add(id);
      detachMapping(world.core, a, attachment.id);
    }
    expect(ids.size).toBe(3);
  });

  it('that will not wait are refused while another is there, on its way in too', async () => {
    const world = fakeWorld();
    const a = world.open();
    await channel(world, a);
    publish(world, a);
    expect(() => publish(world, a, { failIfHeld: true })).toThrow(code('PUBLISHER_EXISTS'));
    await settled();
    expect(() => publish(world, a, { failIfHeld: true })).toThrow(code('PUBLISHER_EXISTS'));
  });

  it('whose session ends while their page is made are never promoted', async () => {
    const world = fakeWorld();
    const [a, b] = [world.open(), world.open()];
    await channel(world, a);
    const first = publish(world, b);
    world.core.endSession(b, false);
    await settled();
    expect(first.told).toEqual(['ended UNAUTHENTICATED']);
    expect(b.vacated).toBe(true);
    const second = publish(world, a);
    await settled();
    expect(second.told).toEqual(['opened', 'promoted']);
  });

  it('all end when the channel is deleted, and nobody is promoted meanwhile', async () => {
    const world = fakeWorld();
    const [a, b] = [world.open(), world.open()];
    await channel(world, a);
    const [first, second] = [publish(world, a), publish(world, b)];
    await settled();
    deleteMapping(world.core, a, 'c');
    expect(first.told.at(-1)).toBe('ended MAPPING_DELETED');
    expect(second.told).toEqual(['opened', 'queued 1', 'ended MAPPING_DELETED']);
    expect(world.memory.mappings[0]?.lock.holder).toBe(0n);
  });
});

describe('subscribers', () => {
  it('are admitted while their pins fit beside the loans, ended ones counted until they are gone', async () => {
    const world = fakeWorld();
    const [a, b] = [world.open(), world.open()];
    await channel(world, a, { slots: 6, maxLoans: 1 });
    await subscribe(world, b, { maxPins: 3 });
    await subscribe(world, a, { maxPins: 1 });
    await expect(subscribe(world, a, { maxPins: 1 })).rejects.toThrow(code('PINS_EXHAUSTED'));
    world.core.endSession(b, false);
    await expect(subscribe(world, a, { maxPins: 1 })).rejects.toThrow(code('PINS_EXHAUSTED'));
    world.core.processGone(b);
    await subscribe(world, a, { maxPins: 3 });
  });

  it('pin as many frames as their page has words for, and no more', async () => {
    const world = fakeWorld();
    const a = world.open();
    await channel(world, a, { slots: 300 });
    await expect(subscribe(world, a, { maxPins: 257 })).rejects.toThrow(code('INVALID_ARGUMENT'));
    await subscribe(world, a, { maxPins: 256 });
  });

  it('that join at the same time are counted before their pages are there', async () => {
    const world = fakeWorld();
    const a = world.open();
    await channel(world, a, { slots: 4 });
    const both = await Promise.allSettled([subscribe(world, a), subscribe(world, a)]);
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  });

  it('are waited for only in queue mode and only on a channel that blocks', async () => {
    const world = fakeWorld();
    const a = world.open();
    await channel(world, a);
    await subscribe(world, a);
    await subscribe(world, a, { mode: 'latest' });
    expect([...(world.memory.mappings[0]?.joined.values() ?? [])].map(({ counted }) => counted)).toEqual([true, false]);
    await channel(world, a, { name: 'd', overflow: 'overwrite' });
    await openSubscriber(world.core, a, { name: 'd', mode: 'queue', maxPins: 1, history: 0 });
    expect(world.memory.mappings[1]?.joined.get(0)?.counted).toBe(false);
  });

  it('get no more history than there are slots and frames', async () => {
    const world = fakeWorld();
    const a = world.open();
    await channel(world, a, { firstSequence: 1000n });
    const memory = world.memory.mappings[0];
    expect((await subscribe(world, a, { history: 5 })).history).toBe(0);
    if (memory !== undefined) memory.published = 1002;
    expect((await subscribe(world, a, { history: 5 })).history).toBe(3);
    if (memory !== undefined) memory.published = 1100;
    expect((await subscribe(world, a, { history: 100 })).history).toBe(8);
  });

  it('that end are no longer waited for, keep their place, and the publisher is rung both times', async () => {
    const world = fakeWorld();
    const [a, b] = [world.open(), world.open()];
    await channel(world, a);
    publish(world, a);
    await settled();
    await subscribe(world, b);
    const memory = world.memory.mappings[0];
    memory?.log.splice(0);
    world.rings.splice(0);
    world.core.endSession(b, false);
    expect(memory?.log).toEqual(['stop waiting 1']);
    expect(world.rings).toEqual(['1 0']);
    world.core.processGone(b);
    expect(memory?.log).toEqual(['stop waiting 1', 'remove 1']);
    expect(world.rings).toEqual(['1 0', '1 0']);
  });

  it('stay in the totals after they have left', async () => {
    const world = fakeWorld();
    const [a, b] = [world.open(), world.open()];
    const { channel: record } = await channel(world, a);
    await subscribe(world, b);
    expect(record.totals()).toEqual({ takenTotal: 10, lostTotal: 1 });
    world.core.endSession(b, true);
    await subscribe(world, a);
    expect(record.totals()).toEqual({ takenTotal: 20, lostTotal: 2 });
  });
});

describe('a slow subscriber', () => {
  const setUp = async () => {
    const world = fakeWorld();
    const [publisher, slow] = [world.open(), world.open()];
    const { id } = await channel(world, publisher, { blockBound: 'detach' });
    publish(world, publisher);
    await settled();
    const { attachment } = await subscribe(world, slow);
    world.rings.splice(0);
    return { world, publisher, slow, attachment, target: { mappingId: id, ...attachment.place } };
  };

  it('is told, rung and no longer waited for, and keeps its place until it acknowledges', async () => {
    const { world, publisher, slow, attachment, target } = await setUp();
    const events: unknown[] = [];
    slow.watch((event) => events.push(event));
    detachSlowSubscriber(world.core, publisher, target);
    expect(events).toMatchObject([
      { kind: 'subscriber-detached', attachmentId: attachment.id, reason: 'SLOW_SUBSCRIBER' },
    ]);
    expect(world.rings).toContain('2 1');
    expect(attachment.state).toBe('ended');
    world.core.acknowledge(slow, target.mappingId, target.index, target.generation);
    expect(attachment.state).toBe('gone');
  });

  it('is detached by the promoted publisher only, and only under its own generation', async () => {
    const { world, publisher, slow, target } = await setUp();
    expect(() => detachSlowSubscriber(world.core, slow, target)).toThrow(code('LEASE_LOST'));
    const older = { ...target, generation: target.generation + 1 };
    expect(() => detachSlowSubscriber(world.core, publisher, older)).toThrow(code('ATTACHMENT_NOT_FOUND'));
  });

  it('is not detached from a channel that was created to wait, nor when it wants the latest only', async () => {
    const { world, publisher, slow, target } = await setUp();
    const latest = await subscribe(world, slow, { mode: 'latest' });
    const ofLatest = { ...target, ...latest.attachment.place };
    expect(() => detachSlowSubscriber(world.core, publisher, ofLatest)).toThrow(code('ATTACHMENT_NOT_FOUND'));
    const { id } = await channel(world, publisher, { name: 'patient' });
    publish(world, publisher, { name: 'patient' });
    await settled();
    const patient = await subscribe(world, slow, { name: 'patient' });
    const ofPatient = { mappingId: id, ...patient.attachment.place };
    expect(() => detachSlowSubscriber(world.core, publisher, ofPatient)).toThrow(code('INVALID_STATE'));
  });

  it('whose session is over already is no error', async () => {
    const { world, publisher, slow, target } = await setUp();
    world.core.endSession(slow, false);
    detachSlowSubscriber(world.core, publisher, target);
  });
});
