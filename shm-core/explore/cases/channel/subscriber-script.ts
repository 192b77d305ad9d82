/**
 * A subscriber, with the real ChannelSubscriber: takes what there is, reads both halves of the payload, lets the oldest go when it holds as
 * many as it may, or when nothing comes, and sleeps. It ends asleep: whether it has then seen all there was is the final state's to judge.
 */
import type { ChannelSubscriber, SubscribeMode } from '../../../src/channel/subscriber.ts';
import type { CodeUnderTest } from '../../code-under-test.ts';
import type { World } from '../../engine/world.ts';
import { bellOf, type ChannelPlan, joinedOf, openChannel } from './channel-memory.ts';
import { payloadOf } from './publisher-script.ts';

export interface SubscriberPlan extends ChannelPlan {
  readonly place: number;
  readonly mode: SubscribeMode;
  /** Frames from before the join that it is granted. */
  readonly history: number;
  /** Frames after which it touches nothing more. */
  readonly stopsAfter: number;
  /** Name of the publisher whose doorbell it rings. */
  readonly rings: string;
}

export interface SubscriberReport {
  /** Sequence and value of each frame that was taken. */
  readonly taken: readonly (readonly [sequence: number, value: number])[];
  /** Sequences of those that it holds. */
  readonly held: readonly number[];
  /** Frames that it was told it missed: lost, or passed over for a newer one. */
  readonly missed: number;
  /** Where it began, and where it is. */
  readonly began: number;
  readonly cursor: number;
}

interface HeldFrame {
  readonly slot: number;
  readonly sequence: number;
  readonly value: number;
}

const CALL_STEPS_MAX = 90;

export function runSubscriber(code: CodeUnderTest, world: World, plan: SubscriberPlan): SubscriberReport {
  const own = plan.seats[plan.place];
  if (own === undefined) throw new Error(`there is no seat ${plan.place}`);
  if (own.joins) world.await(joinedOf(own.name));
  const subscriber = new code.ChannelSubscriber(
    openChannel(code, world, plan),
    new code.ParticipantPage(world.range(`page.${own.name}`)),
    {
      mode: plan.mode,
      history: plan.history,
      maxPins: own.pins,
      ringPublisher: () => world.store(bellOf(plan.rings), 1),
    },
  );
  const began = subscriber.cursor;
  const taken: [number, number][] = [];
  const held: HeldFrame[] = [];
  const report = (): SubscriberReport => {
    const missed = subscriber.lost + subscriber.skipped;
    const sequences = held.map(({ sequence }) => sequence);
    return { taken: [...taken], held: sequences, missed, began, cursor: subscriber.cursor };
  };
  const progress = (stage: string): void => world.checkpoint({ stage, subscriber, taken, held }, report());
  const nothingYet = (): void => {
    progress('finds nothing');
    if (held.length > 0 && world.choose('lets go first', 2) === 1) releaseOldest(world, subscriber, held);
  };
  const sleep = (): void => {
    progress('sleeps');
    world.take(bellOf(own.name));
  };
  while (taken.length < plan.stopsAfter) {
    progress('begins');
    const slot = takeOrSleep(code, world, subscriber, { nothingYet, sleep });
    if (slot < 0) continue;
    const value = readPayload(world, slot);
    const before = taken.at(-1)?.[1] ?? 0;
    world.assert(value > before, `frame ${value} after ${before}`);
    taken.push([subscriber.cursor, value]);
    held.push({ slot, sequence: subscriber.cursor, value });
    if (held.length === own.pins) releaseOldest(world, subscriber, held);
  }
  return report();
}

function readPayload(world: World, slot: number): number {
  const [first, second] = payloadOf(slot);
  const value = world.loadStable(first);
  world.assert(value === world.loadStable(second), `a torn frame in slot ${slot}`);
  return value;
}

/** Looks at it once more if it was held for a while. */
function releaseOldest(world: World, subscriber: ChannelSubscriber, held: HeldFrame[]): void {
  const oldest = held.shift();
  if (oldest === undefined) return;
  const { slot, sequence, value } = oldest;
  if (sequence < subscriber.cursor)
    world.assert(readPayload(world, slot) === value, `frame ${sequence} changed while it was held`);
  world.call('release', CALL_STEPS_MAX, () => subscriber.release(slot));
}

function takeOrSleep(
  code: CodeUnderTest,
  world: World,
  subscriber: ChannelSubscriber,
  { nothingYet, sleep }: { nothingYet: () => void; sleep: () => void },
): number {
  const take = (): number => world.call('take', CALL_STEPS_MAX, () => subscriber.take());
  const slot = take();
  if (slot !== code.TakeOutcome.nothing) return slot;
  nothingYet();
  subscriber.arm();
  const again = take();
  if (again === code.TakeOutcome.nothing) sleep();
  subscriber.disarm();
  return again;
}
