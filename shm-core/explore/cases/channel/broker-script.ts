/** What the broker does while others publish and subscribe: hands the lease on, lets somebody in, and tells who is gone. */
import { low32 } from '../../../src/layout/sequence.ts';
import type { CodeUnderTest } from '../../code-under-test.ts';
import type { World } from '../../engine/world.ts';
import {
  bellOf,
  type ChannelPlan,
  type ChannelSeat,
  GENERATION,
  joinedOf,
  leaseOf,
  letIn,
  openChannel,
} from './channel-memory.ts';

/** How a participant loses its rights: it runs on, or is killed. */
export type Leaving = 'late' | 'killed';

export const deadOf = (name: string): string => `dead.${name}`;

/** Takes the lease from the first publisher, at any moment or when it is dead, and gives it to the second. */
export function promote(code: CodeUnderTest, world: World, plan: ChannelPlan, predecessor: Leaving): void {
  const lock = new code.LockSegment(world.range('lock'));
  if (predecessor === 'killed') world.await(deadOf('P1'));
  lock.casHolder(leaseOf(0).holdId, leaseOf(1).holdId);
  if (predecessor === 'killed') lock.clearLive(0, GENERATION);
  for (const { name, pins } of plan.seats) if (pins > 0) world.store(bellOf(name), 1);
  world.store('promoted', 1);
}

/** Ends a subscriber's rights, at any moment; when it is dead, what it pinned is free. */
export function dismiss(code: CodeUnderTest, world: World, { name, index }: ChannelSeat, how: Leaving): void {
  const lock = new code.LockSegment(world.range('lock'));
  if (how === 'killed') {
    world.await(deadOf(name));
    lock.clearLive(index, GENERATION);
  } else lock.clearCounted(index);
  world.store(bellOf('P1'), 1);
}

/** Lets a subscriber in at any moment, as BrokerMapping does: its cursor is stored once more when publishers can see it. */
export function admit(
  code: CodeUnderTest,
  world: World,
  plan: ChannelPlan,
  { seat, history }: { seat: ChannelSeat; history: number },
): void {
  const memory = openChannel(code, world, plan);
  const page = new code.ParticipantPage(world.range(`page.${seat.name}`));
  letIn(memory.lock, seat, plan);
  page.moveCursor(low32(memory.wholeHead() - history));
  world.store(joinedOf(seat.name), 1);
}
