/** What happens at the edges: ends of streams, nonsense in shared memory, participants that break the rules, numbers that come round. */
import { describe, expect, it } from 'vitest';
import { load32, store32 } from '../layout/control-words.ts';
import { MAX_PINS } from '../layout/regions.ts';
import { LOCK_WORD } from '../mapping/lock-segment.ts';
import { PAGE_WORD } from '../mapping/participant-page.ts';
import { TakeOutcome } from './subscriber.ts';
import { InMemoryChannel } from './testing/in-memory-channel.ts';
import { publishedWord } from './words.ts';

describe('the end of a stream', () => {
  it('reaches a queue subscriber after everything before it', async () => {
    const channel = await InMemoryChannel.create();
    const publisher = await channel.publisher(0);
    const subscriber = await channel.subscriber(1);
    channel.publish(publisher, 1);
    channel.publish(publisher, 2);
    publisher.publishEnd(publisher.loan());
    expect([1, 2, 3, 4].map(() => channel.takeOne(subscriber))).toEqual([1, 2, TakeOutcome.ended, TakeOutcome.ended]);
    expect([subscriber.taken, subscriber.lost]).toEqual([2, 0]);
    expect([channel.broker.published, channel.broker.endMarks]).toEqual([3, 1]);
  });

  it('reaches a latest subscriber after the last picture', async () => {
    const channel = await InMemoryChannel.create();
    const publisher = await channel.publisher(0);
    const subscriber = await channel.subscriber(1, 'latest');
    channel.publish(publisher, 1);
    channel.publish(publisher, 2);
    publisher.publishEnd(publisher.loan());
    expect([1, 2].map(() => channel.takeOne(subscriber))).toEqual([2, TakeOutcome.ended]);
    expect(subscriber.skipped).toBe(1);
  });
});

describe('who has heard the end of a stream', () => {
  it.each(['queue', 'latest'] as const)(
    'and lets go of the last frame (%s) keeps no slot from the next stream',
    async (mode) => {
      const channel = await InMemoryChannel.create();
      const first = await channel.publisher(0);
      const subscriber = await channel.subscriber(1, mode);
      channel.publish(first, 1);
      const held = subscriber.take();
      first.publishEnd(first.loan());
      expect(subscriber.take()).toBe(TakeOutcome.ended);
      subscriber.release(held);
      const next = await channel.publisher(2);
      for (let value = 2; value <= 20; value += 1) expect(channel.publish(next, value)).toBe(value + 1);
      const words = channel.claim([1])[0]?.page.words;
      if (words === undefined) throw new Error('no page');
      for (let pin = 0; pin < MAX_PINS; pin += 1) expect(load32(words, PAGE_WORD.pins + pin)).toBe(0);
    },
  );
});

describe('an end mark', () => {
  it('in the history of a stream that went on does not end a new subscription', async () => {
    const channel = await InMemoryChannel.create({ slots: 8 });
    const first = await channel.publisher(0);
    channel.publish(first, 1);
    first.publishEnd(first.loan());
    const second = await channel.publisher(2);
    channel.publish(second, 2);
    const late = await channel.subscriber(1, 'queue', 4);
    expect([1, 2, 3].map(() => channel.takeOne(late))).toEqual([1, 2, TakeOutcome.nothing]);
    second.publishEnd(second.loan());
    const later = await channel.subscriber(3, 'queue', 1);
    expect(channel.takeOne(later)).toBe(TakeOutcome.ended);
  });

  it('of another publisher does not hide the last picture, and marks are no pictures', async () => {
    const channel = await InMemoryChannel.create({ slots: 8 });
    const first = await channel.publisher(0);
    const viewer = await channel.subscriber(1, 'latest');
    for (const value of [1, 2, 3]) channel.publish(first, value);
    first.publishEnd(first.loan());
    const second = await channel.publisher(2);
    second.publishEnd(second.loan());
    expect([channel.takeOne(viewer), channel.takeOne(viewer)]).toEqual([3, TakeOutcome.ended]);
    expect([viewer.taken, viewer.skipped]).toEqual([1, 2]);
  });
});

describe('a hoarder', () => {
  /** Slots that the publisher comes to use while the hoarder's page is full of `pin(i)`, and what the honest one then has. */
  async function useSlotsBeside(pin: (word: number) => number): Promise<{ used: number[]; held: number }> {
    const channel = await InMemoryChannel.create({ slots: 5 });
    const publisher = await channel.publisher(0);
    const honest = await channel.subscriber(1);
    await channel.subscriber(2);
    store32(channel.memory.lock.words, LOCK_WORD.maxPins + 2, 1);
    for (const value of [1, 2, 3, 4]) channel.publish(publisher, value);
    const held = honest.take();
    for (const { page } of channel.claim([2])) {
      for (let word = 0; word < MAX_PINS; word += 1) store32(page.words, PAGE_WORD.pins + word, pin(word));
    }
    const used = new Set<number>();
    for (let frame = 0; frame < 20; frame += 1) {
      const slot = publisher.loan();
      used.add(slot);
      publisher.publish(slot, 1);
    }
    return { used: [...used].sort(), held: channel.read(held) };
  }

  it('that pins more frames than it was admitted for keeps as many slots as it was, and those who keep to it are safe', async () => {
    // Slot 0 is the honest one's, slot 1 has frame 2.
    expect(await useSlotsBeside((word) => publishedWord(2 + word))).toEqual({ used: [2, 3, 4], held: 1 });
  });

  it('that writes nonsense into its pins keeps nothing', async () => {
    expect(await useSlotsBeside((word) => -1 - word)).toEqual({ used: [1, 2, 3, 4], held: 1 });
  });
});

describe('a slot that was pinned for longer than state words can tell', () => {
  it('is used again when it is released', async () => {
    const channel = await InMemoryChannel.create({ slots: 3 });
    const publisher = await channel.publisher(0);
    for (const value of [1, 2, 3]) channel.publish(publisher, value);
    // As if frame 2 had been held while 2^29 + 2 frames went through the others.
    store32(channel.memory.descriptors, channel.memory.stateAt(1), publishedWord(4 + 2 ** 29 - 1));
    const used = new Set(
      [1, 2, 3, 4, 5, 6].map(() => {
        const slot = publisher.loan();
        publisher.publish(slot, 1);
        return slot;
      }),
    );
    expect([...used].sort()).toEqual([0, 1, 2]);
  });
});

describe('the era of a channel', () => {
  it('is raised as sequences cross 2^31, and never lowered by who is late', async () => {
    const channel = await InMemoryChannel.create({ head: 2 ** 31 - 2 });
    const publisher = await channel.publisher(0);
    const era = (): number => load32(channel.memory.lock.words, LOCK_WORD.headEra);
    channel.publish(publisher, 1);
    expect(era()).toBe(0);
    channel.publish(publisher, 2);
    expect(era()).toBe(1);
    channel.memory.raiseEra(0);
    expect(era()).toBe(1);
  });
});

describe('several waits of one subscriber', () => {
  it('stay armed until the last has ended', async () => {
    const channel = await InMemoryChannel.create();
    const publisher = await channel.publisher(0);
    const subscriber = await channel.subscriber(1);
    subscriber.arm();
    subscriber.arm();
    subscriber.disarm();
    channel.publish(publisher, 1);
    expect(channel.rung).toEqual([1]);
    subscriber.disarm();
    channel.publish(publisher, 2);
    expect(channel.rung).toEqual([1]);
  });
});

describe('a subscriber', () => {
  it('does not take a frame written under an older token than it has seen', async () => {
    const channel = await InMemoryChannel.create();
    const publisher = await channel.publisher(0);
    const subscriber = await channel.subscriber(1);
    channel.publish(publisher, 1);
    expect(channel.takeOne(subscriber)).toBe(1);
    publisher.takeOver({ holdId: channel.memory.lock.holder, fencingToken: 0n });
    channel.publish(publisher, 2);
    expect([channel.takeOne(subscriber), subscriber.lost]).toEqual([TakeOutcome.nothing, 1]);
  });

  it('survives any nonsense in ring and descriptors, and takes again when sense returns', async () => {
    const channel = await InMemoryChannel.create({ slots: 4 });
    const publisher = await channel.publisher(0);
    const subscriber = await channel.subscriber(1);
    const latest = await channel.subscriber(2, 'latest');
    let seed = 12345;
    const random = (): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) | 0;
      return seed;
    };
    for (let round = 0; round < 2_000; round += 1) {
      for (let i = 0; i < 4; i += 1) {
        store32(channel.memory.ring, i, random());
        store32(channel.memory.descriptors, random() >>> 24, random());
      }
      for (const reader of [subscriber, latest]) {
        const slot = reader.take();
        expect(slot).toBeLessThan(4);
        if (slot >= 0) reader.release(slot);
        expect(reader.pinned).toBe(0);
        if (reader.ended) return;
      }
    }
    expect(publisher.openLoans).toBe(0);
  });
});
