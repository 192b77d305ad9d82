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
  /** How many of them it asks for, and publishes, at a time. */
  readonly batch: number;
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

/** Slots, or a `LoanRefusal`. */
type Loans = readonly number[] | number;

/** All that one call may do, with three or four slots and four participants. */
const CALL_STEPS_MAX = 160;

export const payloadOf = (slot: number): readonly [first: string, second: string] => [`slot${slot}.a`, `slot${slot}.b`];

export function runPublisher(code: CodeUnderTest, world: World, plan: PublisherPlan): PublisherReport {
  const own = plan.seats[plan.place];
  if (own === undefined) throw new Error(`there is no seat ${plan.place}`);
  if (plan.after !== undefined) world.await(plan.after);
  const memory = openChannel(code, world, plan);
  const pages = openChannelPages(code, world, memory, own, plan);
  const publisher = new code.ChannelPublisher(memory, pages, { index: own.index, generation: GENERATION }, () => 1);
  world.call('takeOver', CALL_STEPS_MAX, () => publisher.takeOver(leaseOf(plan.place)));
  const before = plan.place === 0 ? plan.published : 0;
  const published = Array.from({ length: before }, (_, i): [number, number] => [plan.head + i + 1, 101 + i]);
  const progress: Progress = { published, refused: [], dropped: 0 };
  const report = (): PublisherReport => structuredClone(progress);
  const last = before + plan.frames;
  for (let frame = before + 1; frame <= last; ) {
    world.checkpoint({ publisher, progress, frame }, report());
    const lend = (): Loans => borrow(world, publisher, Math.min(plan.batch, last - frame + 1));
    let loans = lend();
    if (plan.block && loans !== code.LoanRefusal.lost) loans = waitForSlot(world, publisher, { loans, lend }, own.name);
    if (loans === code.LoanRefusal.lost) break;
    if (typeof loans === 'number') {
      progress.dropped += 1;
      frame += 1;
      continue;
    }
    const filled = loans.map((slot, i) => ({ slot, value: 100 * (plan.place + 1) + frame + i }));
    for (const { slot, value } of filled) for (const word of payloadOf(slot)) world.store(word, value);
    world.checkpoint({ publisher, progress, filled, frame }, report());
    publishAll(world, publisher, filled, progress);
    frame += loans.length;
  }
  return report();
}

function borrow(world: World, publisher: ChannelPublisher, count: number): Loans {
  if (count === 1) {
    const slot = world.call('loan', CALL_STEPS_MAX, () => publisher.loan());
    return slot < 0 ? slot : [slot];
  }
  const slots: number[] = [];
  const given = world.call('loanMany', CALL_STEPS_MAX, () => publisher.loanMany(count, slots));
  return given < 0 ? given : slots;
}

function publishAll(
  world: World,
  publisher: ChannelPublisher,
  filled: readonly { slot: number; value: number }[],
  progress: Progress,
): void {
  const publishEach = (): void => {
    for (const { slot, value } of filled) {
      const sequence = publisher.publish(slot, 8);
      if (sequence === null) progress.refused.push(value);
      else progress.published.push([sequence, value]);
    }
  };
  world.call('publish', CALL_STEPS_MAX, () => (filled.length === 1 ? publishEach() : publisher.batch(publishEach)));
}

/** As a `block` publisher waits: asks to be rung, looks again, sleeps. */
function waitForSlot(
  world: World,
  publisher: ChannelPublisher,
  refused: { loans: Loans; lend: () => Loans },
  name: string,
): Loans {
  let { loans } = refused;
  for (let armed = false; typeof loans === 'number'; loans = refused.lend()) {
    if (armed && publisher.armed) world.take(bellOf(name));
    world.call('arm', CALL_STEPS_MAX, () => publisher.arm());
    armed = true;
  }
  return loans;
}
