/**
 * A subscriber, with the real ChannelSubscriber: takes what there is, reads both halves of the payload, lets go, and sleeps when there is
 * nothing. It ends asleep: whether it has then seen all there was is the final state's to judge.
 */
import type { ChannelSubscriber, SubscribeMode } from '../../../src/channel/subscriber.ts';
import type { CodeUnderTest } from '../../code-under-test.ts';
import type { World } from '../../engine/world.ts';
import { bellOf, type ChannelPlan, MAX_PINS, openChannel } from './channel-memory.ts';
import { payloadOf } from './publisher-script.ts';

export interface SubscriberPlan extends ChannelPlan {
  readonly place: number;
  readonly mode: SubscribeMode;
  /** Name of the publisher whose doorbell it rings. */
  readonly rings: string;
}

export interface SubscriberReport {
  /** Sequence and value of each frame that was taken. */
  readonly taken: readonly (readonly [sequence: number, value: number])[];
  /** Frames that it was told it missed: lost, or passed over for a newer one. */
  readonly missed: number;
  readonly cursor: number;
}

const CALL_STEPS_MAX = 90;

export function runSubscriber(code: CodeUnderTest, world: World, plan: SubscriberPlan): never {
  const own = plan.seats[plan.place];
  if (own === undefined) throw new Error(`there is no seat ${plan.place}`);
  const ringPublisher = (): void => world.store(bellOf(plan.rings), 1);
  const memory = openChannel(code, world, plan);
  const page = new code.ParticipantPage(world.range(`page.${own.name}`));
  const subscriber = new code.ChannelSubscriber(memory, page, {
    mode: plan.mode,
    history: 0,
    maxPins: MAX_PINS,
    ringPublisher,
  });
  const taken: [number, number][] = [];
  const progress = (stage: string): void => {
    const missed = subscriber.lost + subscriber.skipped;
    const report: SubscriberReport = { taken: [...taken], missed, cursor: subscriber.cursor };
    world.checkpoint({ stage, subscriber, taken }, report);
  };
  const sleep = (): void => {
    progress('sleeps');
    world.take(bellOf(own.name));
  };
  for (;;) {
    progress('begins');
    const slot = takeOrSleep(code, world, subscriber, sleep);
    if (slot < 0) continue;
    const [first, second] = payloadOf(slot);
    const value = world.loadStable(first);
    world.assert(value === world.loadStable(second), `a torn frame: ${subscriber.cursor} in slot ${slot}`);
    const [before = 0] = taken.at(-1)?.slice(1) ?? [];
    world.assert(value > before, `frame ${value} after ${before}`);
    taken.push([subscriber.cursor, value]);
    world.call('release', CALL_STEPS_MAX, () => subscriber.release(slot));
  }
}

function takeOrSleep(code: CodeUnderTest, world: World, subscriber: ChannelSubscriber, sleep: () => void): number {
  const take = (): number => world.call('take', CALL_STEPS_MAX, () => subscriber.take());
  const slot = take();
  if (slot !== code.TakeOutcome.nothing) return slot;
  subscriber.arm();
  const again = take();
  if (again === code.TakeOutcome.nothing) sleep();
  subscriber.disarm();
  return again;
}
