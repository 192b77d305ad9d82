/** What a publisher that was killed with a slot marked has left to its successor. */
import { expect, it } from 'vitest';
import { cas32 } from '../layout/control-words.ts';
import { InMemoryChannel } from './testing/in-memory-channel.ts';
import { publishedWord, writingWord } from './words.ts';

/** The first publisher (index 0, generation 1) has published 1 to 3 in the slots 0 to 2, marks slot 0, and is killed. */
async function killedWithTheMark() {
  const channel = await InMemoryChannel.create({ slots: 4 });
  const publisher = await channel.publisher(0);
  const reader = await channel.subscriber(1);
  for (const value of [1, 2, 3]) channel.publish(publisher, value);
  return {
    channel,
    reader,
    kill: () => {
      const { descriptors, lock } = channel.memory;
      expect(cas32(descriptors, channel.memory.stateAt(0), publishedWord(1), writingWord(0, 1))).toBe(true);
      lock.clearLive(0, 1);
    },
  };
}

it('a frame that is held is not overwritten though a publisher was killed between its mark and its look at the pins', async () => {
  const { channel, reader, kill } = await killedWithTheMark();
  const held = reader.take();
  kill();
  const successor = await channel.publisher(2);
  for (let value = 4; value <= 20; value += 1) channel.publish(successor, value);
  expect([held, channel.read(held)]).toEqual([0, 1]);
  reader.release(held);
  const slots = Array.from({ length: 8 }, () => {
    const slot = successor.loan();
    successor.publish(slot, 1);
    return slot;
  });
  expect(slots).toContain(0);
});

it('a slot that a killed publisher had marked, and nobody reads, is used again', async () => {
  const { channel, kill } = await killedWithTheMark();
  kill();
  const successor = await channel.publisher(2);
  const slots = [1, 2, 3].map(() => {
    const slot = successor.loan();
    successor.publish(slot, 1);
    return slot;
  });
  expect(slots).toContain(0);
});
