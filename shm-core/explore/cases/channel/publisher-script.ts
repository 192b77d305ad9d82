/**
 * A publisher, with the real ChannelPublisher. The payload of a slot is two ghost words; a frame writes the same value to both, and each
 * frame another one.
 */
import type { ChannelPublisher } from '../../../src/channel/publisher.ts';
import type { CodeUnderTest } from '../../code-under-test.ts';
import type { World } from '../../engine/world.ts';
import { bellOf, type ChannelPlan, GENERATION, leaseOf, openChannel, openChannelPages } from './channel-memory.ts';

export interface PublisherPlan extends ChannelPlan {
  /** Place in the list of seats. */
  readonly place: number;
  readonly frames: number;
  /** Ghost word it waits for before it takes over. */
  readonly after?: string;
}

export interface PublisherReport {
  /** Sequence and value of each frame that was published. */
  readonly published: readonly (readonly [sequence: number, value: number])[];
  /** Values of those whose publishing was refused. */
  readonly refused: readonly number[];
  /** Loans for which there was no slot. */
  readonly dropped: number;
}

interface Progress {
  readonly published: [number, number][];
  readonly refused: number[];
  dropped: number;
}

/** All that one call may do, with three slots and four participants. */
const CALL_STEPS_MAX = 120;

export const payloadOf = (slot: number): readonly [first: string, second: string] => [`slot${slot}.a`, `slot${slot}.b`];

export function runPublisher(code: CodeUnderTest, world: World, plan: PublisherPlan): PublisherReport {
  const own = plan.seats[plan.place];
  if (own === undefined) throw new Error(`there is no seat ${plan.place}`);
  if (plan.after !== undefined) world.await(plan.after);
  const memory = openChannel(code, world, plan);
  const pages = openChannelPages(code, world, memory, own, plan);
  const { LoanRefusal } = code;
  const publisher = new code.ChannelPublisher(memory, pages, { index: own.index, generation: GENERATION }, () => 1);
  world.call('takeOver', CALL_STEPS_MAX, () => publisher.takeOver(leaseOf(plan.place)));
  const before = plan.place === 0 ? plan.published : 0;
  const published = Array.from({ length: before }, (_, i): [number, number] => [i + 1, 101 + i]);
  const progress: Progress = { published, refused: [], dropped: 0 };
  const report = (): PublisherReport => structuredClone(progress);
  for (let frame = before + 1; frame <= before + plan.frames; frame += 1) {
    world.checkpoint({ publisher, progress, frame }, report());
    let slot = world.call('loan', CALL_STEPS_MAX, () => publisher.loan());
    if (plan.block && slot !== LoanRefusal.lost) slot = waitForSlot(world, publisher, slot, own.name);
    if (slot === LoanRefusal.lost) break;
    if (slot < 0) {
      progress.dropped += 1;
      continue;
    }
    const value = 100 * (plan.place + 1) + frame;
    for (const word of payloadOf(slot)) world.store(word, value);
    world.checkpoint({ publisher, progress, slot, frame }, report());
    const sequence = world.call('publish', CALL_STEPS_MAX, () => publisher.publish(slot, 8));
    if (sequence === null) progress.refused.push(value);
    else progress.published.push([sequence, value]);
  }
  return report();
}

/** As a `block` publisher waits: asks to be rung, looks again, sleeps. */
function waitForSlot(world: World, publisher: ChannelPublisher, refused: number, name: string): number {
  let slot = refused;
  for (let armed = false; slot < 0; slot = world.call('loan', CALL_STEPS_MAX, () => publisher.loan())) {
    if (armed && publisher.armed) world.take(bellOf(name));
    world.call('arm', CALL_STEPS_MAX, () => publisher.arm());
    armed = true;
  }
  return slot;
}
