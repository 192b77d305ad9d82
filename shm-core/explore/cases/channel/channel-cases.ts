/** The cases of the channel. */
import type { ExplorerCase } from '../explorer-case.ts';
import { type ChannelCase, channelModel } from './channel-model.ts';

const channelCase = (name: string, title: string, ciBound: number, channel: ChannelCase): ExplorerCase => {
  return { name, title, ciBound, model: (code) => channelModel(code, channel) };
};

const EVERY = Number.POSITIVE_INFINITY;
const QUEUE = { mode: 'queue' } as const;
const LATEST = { mode: 'latest' } as const;

export const CHANNEL_CASES: readonly ExplorerCase[] = [
  channelCase('queue', 'a publisher wraps the ring under a subscriber', EVERY, {
    publishers: [5],
    subscribers: [QUEUE],
  }),
  channelCase('latest', 'the same, for the newest only', EVERY, { publishers: [4], subscribers: [LATEST] }),
  channelCase('two-subscribers', 'a publisher wraps the ring under two subscribers', 2, {
    publishers: [5],
    subscribers: [QUEUE, LATEST],
  }),
  channelCase('put-back', 'a publisher finds every slot pinned while a subscriber moves along', 3, {
    publishers: [1],
    subscribers: [QUEUE, LATEST],
    published: 3,
  }),
  channelCase('late-predecessor', 'a publisher that has lost its lease goes on', 2, {
    publishers: [2, 2],
    subscribers: [QUEUE],
    predecessor: 'late',
  }),
  channelCase('late-wrap', 'the same, where every slot holds a frame', 2, {
    publishers: [1, 2],
    subscribers: [QUEUE],
    predecessor: 'late',
    published: 3,
  }),
  channelCase('killed-predecessor', 'a publisher is killed at any step, and another takes over', EVERY, {
    publishers: [2, 2],
    subscribers: [QUEUE],
    predecessor: 'killed',
  }),
  channelCase('killed-wrap', 'the same, where every slot holds a frame', 3, {
    publishers: [1, 2],
    subscribers: [QUEUE],
    predecessor: 'killed',
    published: 3,
  }),
  channelCase('block', 'a publisher waits for a subscriber', EVERY, {
    publishers: [6],
    subscribers: [QUEUE],
    block: true,
  }),
  channelCase('block-latest', 'a publisher waits for one subscriber and not for another, whose pins move', 2, {
    publishers: [4],
    subscribers: [QUEUE, LATEST],
    block: true,
  }),
  channelCase('block-stopped', 'a publisher waits for a pin to move on, and for one who has stopped reading', 2, {
    publishers: [4],
    subscribers: [{ mode: 'queue', stopsAfter: 1 }, LATEST],
    block: true,
  }),
  channelCase('hold-queue', 'a subscriber holds a frame while it takes the next', 3, {
    publishers: [5],
    subscribers: [{ mode: 'queue', pins: 2 }],
    slots: 4,
  }),
  channelCase('hold-latest', 'the same, for the newest only', EVERY, {
    publishers: [4],
    subscribers: [{ mode: 'latest', pins: 2 }],
    slots: 4,
  }),
  channelCase('hold-block', 'the same, and the publisher waits for it', EVERY, {
    publishers: [6],
    subscribers: [{ mode: 'queue', pins: 2 }],
    slots: 4,
    block: true,
  }),
  channelCase('killed-subscriber', 'a subscriber that is waited for is killed at any step, with its pins set', EVERY, {
    publishers: [5],
    subscribers: [{ mode: 'queue', leaves: 'killed' }],
    block: true,
  }),
  channelCase('late-subscriber', 'a subscriber has lost its rights and goes on, and what it pins stays', 3, {
    publishers: [5],
    subscribers: [{ mode: 'queue', leaves: 'late' }],
    block: true,
  }),
  channelCase('join', 'a subscriber is let in while a publisher marks and publishes', 3, {
    publishers: [4],
    subscribers: [{ mode: 'queue', joins: true, history: 3 }],
    published: 3,
  }),
  channelCase('batch', 'a publisher borrows and publishes two frames at a time', EVERY, {
    publishers: [4],
    subscribers: [QUEUE],
    slots: 4,
    batch: 2,
  }),
  channelCase('come-round', 'sequences, laps and state words come round to 0', EVERY, {
    publishers: [5],
    subscribers: [QUEUE],
    head: 2 ** 32 - 4,
  }),
];
