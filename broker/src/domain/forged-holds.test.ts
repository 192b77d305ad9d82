import { describe, expect, it } from 'vitest';
import { channel, publish, settled, subscribe } from './testing/channel-world.ts';
import { type FakeWorld, fakeWorld } from './testing/fake-ports.ts';
import { acquire, attach, holdId, mapping } from './testing/leases.ts';

const FAR_NS = 2n ** 63n;

/** Writes into a participant's own page, which is all that a reader can write. */
function forge({ memory }: FakeWorld, index: number, id: bigint, deadlineNs = FAR_NS): void {
  const page = memory.mappings[0]?.participant(index)?.page;
  if (page === undefined) throw new Error(`participant ${index} has no page`);
  page.storeDeadline(deadlineNs);
  page.casSharedHold(page.sharedHold, id);
}

describe('a subscriber that writes a hold into its page', () => {
  it('keeps nobody from publishing', async () => {
    const world = fakeWorld();
    const session = world.open();
    await channel(world, session);
    const { attachment } = await subscribe(world, world.open());
    forge(world, attachment.place.index, holdId(attachment, 1));
    const { told } = publish(world, session);
    await settled();
    expect(told).toEqual(['opened', 'promoted']);
  });

  it('ends no publisher by writing its name', async () => {
    const world = fakeWorld();
    const session = world.open();
    await channel(world, session);
    const { attachment } = await subscribe(world, world.open());
    const publisher = publish(world, session);
    forge(world, attachment.place.index, holdId(publisher.attachment, 1));
    await settled();
    expect(publisher.told).toEqual(['opened', 'promoted']);
  });
});

describe('a reader that writes somebody else’s name into its page', () => {
  it('takes nothing from the other, whatever it asks for itself', async () => {
    const world = fakeWorld();
    const [victim, reader] = [world.open(), world.open()];
    const { mapping: owned } = await mapping(world, victim);
    const seat = await attach(world, reader, 'read');
    const { hold } = await acquire(world, victim, { mode: 'shared' });
    const told: string[] = [];
    victim.watch(({ kind }) => told.push(kind));
    forge(world, seat.place.index, hold.id);
    await acquire(world, reader, { mode: 'shared', attachmentId: seat.id, holdId: holdId(seat, 1) });
    expect(told).toEqual([]);
    expect(owned.lock.removalOf(hold.id)).toBeNull();
    const next = await acquire(world, victim, { mode: 'shared' });
    expect(next.hold.attachment).not.toBe(hold.attachment);
    expect(owned.lock.isHeld(hold.id)).toBe(true);
  });
});

describe('a hold that is marked and not removed yet', () => {
  it('has no time left', async () => {
    const world = fakeWorld();
    const reader = world.open();
    const { mapping: owned } = await mapping(world, reader);
    const seat = await attach(world, reader, 'read');
    forge(world, seat.place.index, holdId(seat, 1), 2n ** 64n - 1n);
    expect(owned.lock.held()).toMatchObject([{ id: holdId(seat, 1), deadlineNs: 0n, timeLeftMs: 0 }]);
  });
});
