import { describe, expect, it } from 'vitest';
import { NO_FIELDS } from './descriptor.ts';
import { LoanRefusal } from './publisher.ts';
import { TakeOutcome } from './subscriber.ts';
import { InMemoryChannel } from './testing/in-memory-channel.ts';

/** Heads around which some encoding wraps. */
const HEADS = [0, 2 ** 30 - 3, 2 ** 31 - 3, 2 ** 32 - 3, 4 * 2 ** 22 - 3, 2 ** 40 + 2 ** 31 - 3];

describe.each(HEADS)('a channel whose newest frame is %d', (head) => {
  it('delivers every frame in order to a subscriber that keeps up', async () => {
    const channel = await InMemoryChannel.create({ head });
    const publisher = await channel.publisher(0);
    const subscriber = await channel.subscriber(1);
    for (let value = 1; value <= 20; value += 1) {
      expect(channel.publish(publisher, value)).toBe(head + value);
      expect(channel.takeOne(subscriber)).toBe(value);
      expect(subscriber.cursor).toBe(head + value);
      expect(channel.takeOne(subscriber)).toBe(TakeOutcome.nothing);
    }
    expect(subscriber.lost).toBe(0);
    expect(channel.broker.published).toBe(head + 20);
  });

  it('counts exactly what a slow queue subscriber lost', async () => {
    const channel = await InMemoryChannel.create({ head });
    const publisher = await channel.publisher(0);
    const subscriber = await channel.subscriber(1);
    for (let value = 1; value <= 15; value += 1) channel.publish(publisher, value);
    const values: number[] = [];
    for (let value = channel.takeOne(subscriber); value >= 0; value = channel.takeOne(subscriber)) values.push(value);
    expect(values).toEqual([12, 13, 14, 15]);
    expect(subscriber.taken + subscriber.lost).toBe(15);
  });

  it('gives a latest subscriber the newest frame and says how many it passed over', async () => {
    const channel = await InMemoryChannel.create({ head });
    const publisher = await channel.publisher(0);
    const subscriber = await channel.subscriber(1, 'latest');
    for (let value = 1; value <= 6; value += 1) channel.publish(publisher, value);
    expect(channel.takeOne(subscriber)).toBe(6);
    expect([subscriber.skipped, subscriber.lost]).toEqual([5, 0]);
    expect(channel.takeOne(subscriber)).toBe(TakeOutcome.nothing);
  });

  it('gives a late joiner the history it asked for, and counts none of what was gone before', async () => {
    const channel = await InMemoryChannel.create({ head });
    const publisher = await channel.publisher(0);
    for (let value = 1; value <= 9; value += 1) channel.publish(publisher, value);
    const late = await channel.subscriber(1, 'queue', 3);
    expect([channel.takeOne(late), channel.takeOne(late), channel.takeOne(late)]).toEqual([7, 8, 9]);
    const greedy = await channel.subscriber(2, 'queue', 9);
    expect(channel.takeOne(greedy)).toBe(6);
    expect(greedy.lost).toBe(0);
    for (let value = 10; value <= 29; value += 1) channel.publish(publisher, value);
    const overrun = await channel.subscriber(4, 'queue', 2);
    for (let value = 30; value <= 49; value += 1) channel.publish(publisher, value);
    // Two of the four slots hold what the two before want next, and have not come for.
    expect(channel.takeOne(overrun)).toBe(48);
    expect(overrun.lost).toBe(18);
    const newcomer = await channel.subscriber(3);
    expect(channel.takeOne(newcomer)).toBe(TakeOutcome.nothing);
  });

  it('has no history from before its first frame', async () => {
    const channel = await InMemoryChannel.create({ head });
    const publisher = await channel.publisher(0);
    for (const value of [1, 2]) channel.publish(publisher, value);
    const joining = { index: 1, generation: 9, bell: new Uint8Array(16), counted: false, maxPins: 1 };
    expect(await channel.broker.addParticipant({ ...joining, history: 3 })).toBe(2);
  });

  it.each(['overwrite', 'block'] as const)(
    'gives a subscriber what was published between its join and its first look (%s)',
    async (overflow) => {
      const channel = await InMemoryChannel.create({ head, block: overflow === 'block' });
      const publisher = await channel.publisher(0);
      const look = await channel.admit(1);
      for (let value = 1; value <= 3; value += 1) channel.publish(publisher, value);
      const subscriber = look();
      expect([1, 2, 3].map(() => channel.takeOne(subscriber))).toEqual([1, 2, 3]);
      expect([subscriber.taken, subscriber.lost]).toEqual([3, 0]);
    },
  );

  it('is taken over at the next number, with nothing lost and nothing invented', async () => {
    const channel = await InMemoryChannel.create({ head });
    const first = await channel.publisher(0);
    const subscriber = await channel.subscriber(1);
    channel.publish(first, 1);
    const second = await channel.publisher(2);
    expect(channel.publish(second, 2)).toBe(head + 2);
    expect([channel.takeOne(subscriber), channel.takeOne(subscriber)]).toEqual([1, 2]);
    expect(subscriber.lost).toBe(0);
  });
});

describe('a publisher', () => {
  it('never overwrites a slot that somebody has pinned', async () => {
    const channel = await InMemoryChannel.create({ slots: 4 });
    const publisher = await channel.publisher(0);
    const subscriber = await channel.subscriber(1);
    channel.publish(publisher, 1);
    const held = subscriber.take();
    for (let value = 2; value <= 40; value += 1) channel.publish(publisher, value);
    expect(channel.read(held)).toBe(1);
    subscriber.release(held);
  });

  it('is refused a slot when all are pinned, and gets one as soon as one is released', async () => {
    const channel = await InMemoryChannel.create({ slots: 3 });
    const publisher = await channel.publisher(0);
    const subscriber = await channel.subscriber(1);
    const held = [1, 2, 3].map((value) => {
      channel.publish(publisher, value);
      return subscriber.take();
    });
    expect(publisher.loan()).toBe(LoanRefusal.noSlot);
    subscriber.release(held[1] ?? -1);
    expect(publisher.loan()).toBe(held[1]);
  });

  it('gives each open loan another slot, and a slot given back is free for the next', async () => {
    const channel = await InMemoryChannel.create({ slots: 3, maxLoans: 1 });
    const publisher = await channel.publisher(0);
    const slots = [publisher.loan(), publisher.loan(), publisher.loan()];
    expect(new Set(slots).size).toBe(3);
    expect(publisher.loan()).toBe(LoanRefusal.noSlot);
    publisher.giveBack(slots[2] ?? -1);
    expect(publisher.loan()).toBe(slots[2]);
  });

  it('that lost its lease gets no slot and shows its open loan to nobody', async () => {
    const channel = await InMemoryChannel.create();
    const first = await channel.publisher(0);
    const subscriber = await channel.subscriber(1);
    const open = first.loan();
    channel.fill(open, 99);
    const second = await channel.publisher(2);
    expect(first.publish(open, 1)).toBeNull();
    expect(first.loan()).toBe(LoanRefusal.lost);
    channel.publish(second, 2);
    expect(channel.takeOne(subscriber)).toBe(2);
    expect([subscriber.lost, channel.takeOne(subscriber)]).toEqual([0, TakeOutcome.nothing]);
  });

  it('reclaims what a dead predecessor was writing, but only when it is known to be gone', async () => {
    const channel = await InMemoryChannel.create({ slots: 3 });
    const dead = await channel.publisher(0);
    const loans = [dead.loan(), dead.loan()];
    const heir = await channel.publisher(2);
    const first = heir.loan();
    expect(loans).not.toContain(first);
    expect(heir.loan()).toBe(LoanRefusal.noSlot);
    channel.broker.removeParticipant(0);
    expect(loans).toContain(heir.loan());
  });

  it('rings a sleeping subscriber once, and one that is awake never', async () => {
    const channel = await InMemoryChannel.create();
    const publisher = await channel.publisher(0);
    const sleeper = await channel.subscriber(1);
    await channel.subscriber(2);
    sleeper.arm();
    channel.publish(publisher, 1);
    channel.publish(publisher, 2);
    expect(channel.rung).toEqual([1]);
  });

  it('that takes over rings everybody, asleep or not', async () => {
    const channel = await InMemoryChannel.create();
    await channel.publisher(0);
    await channel.subscriber(1);
    await channel.publisher(2);
    expect(channel.rung.sort()).toEqual([0, 1]);
  });

  it('refuses payloads and metadata that do not fit', async () => {
    const channel = await InMemoryChannel.create({ slotBytes: 64 });
    const publisher = await channel.publisher(0);
    const slot = publisher.loan();
    for (const bytes of [-1, 65, 1.5, Number.NaN]) expect(() => publisher.publish(slot, bytes)).toThrow(RangeError);
    expect(() => publisher.publish(slot, 1, { ...NO_FIELDS, metadata: new Uint8Array(129) })).toThrow(/128/);
    expect(publisher.publish(slot, 64, { ...NO_FIELDS, metadata: new Uint8Array(128) })).toBe(1);
  });
});

describe('a block channel', () => {
  it('never lets the publisher overwrite what a queue subscriber has not read, whichever slots are held', async () => {
    const channel = await InMemoryChannel.create({ slots: 5, block: true });
    const publisher = await channel.publisher(0);
    const reader = await channel.subscriber(1);
    const watcher = await channel.subscriber(2, 'latest');
    let published = 0;
    let held = -1;
    const got: number[] = [];
    for (let round = 0; round < 200; round += 1) {
      const slot = publisher.loan();
      if (slot >= 0) {
        published += 1;
        channel.fill(slot, published % 251);
        publisher.publish(slot, 1);
      }
      if (round % 7 === 0) {
        if (held >= 0) watcher.release(held);
        held = watcher.take();
      }
      if (slot < 0 || round % 3 === 0) {
        const value = channel.takeOne(reader);
        if (value >= 0) got.push(value);
      }
    }
    expect(reader.lost).toBe(0);
    expect(got).toEqual(got.map((_, i) => (i + 1) % 251));
    expect(got.length).toBeGreaterThan(60);
  });

  it('rings the armed publisher when a subscriber lets go, once', async () => {
    const channel = await InMemoryChannel.create({ slots: 3, block: true });
    const publisher = await channel.publisher(0);
    const reader = await channel.subscriber(1);
    for (const value of [1, 2, 3]) channel.publish(publisher, value);
    expect(publisher.loan()).toBe(LoanRefusal.subscribersBehind);
    expect(publisher.slowest()[0]).toMatchObject({ index: 1, lag: 3 });
    publisher.arm();
    expect(channel.rung).toEqual([]);
    channel.takeOne(reader);
    channel.takeOne(reader);
    expect(channel.rung).toEqual([-1]);
    expect(publisher.loan()).toBeGreaterThanOrEqual(0);
  });

  it('no longer waits for a subscriber that the broker detached, and still respects its pins', async () => {
    const channel = await InMemoryChannel.create({ slots: 3, block: true });
    const publisher = await channel.publisher(0);
    const slow = await channel.subscriber(1);
    channel.publish(publisher, 1);
    const held = slow.take();
    for (const value of [2, 3]) channel.publish(publisher, value);
    expect(publisher.loan()).toBeLessThan(0);
    channel.broker.stopWaitingFor(1);
    for (let value = 4; value < 20; value += 1) channel.publish(publisher, value);
    expect(channel.read(held)).toBe(1);
    channel.broker.removeParticipant(1);
    for (let value = 20; value < 30; value += 1) channel.publish(publisher, value);
    expect(channel.read(held)).not.toBe(1);
  });
});
