/**
 * The cases in which somebody’s place is taken by another: a broker that is killed at any step, and the next one on the same words while
 * the old clients go on; and an index that is given to a new session while the process of the old one, which was evicted, goes on.
 */
import type { CodeUnderTest } from '../../code-under-test.ts';
import type { FinalState, Model } from '../../engine/case.ts';
import type { World } from '../../engine/world.ts';
import { type BrokerPlan, runBroker } from './broker-script.ts';
import { runClient, type Turn } from './client-script.ts';
import {
  endedOf,
  everythingFree,
  lockRules,
  lockSegments,
  lockWatched,
  mutualExclusion,
  type Seat,
} from './lock-memory.ts';
import { MessageKind, post } from './messages.ts';

/** Old clients A and B, and N of the next broker. */
export interface RestartCase {
  readonly A: readonly Turn[];
  readonly B?: readonly Turn[];
  readonly N: readonly Turn[];
  /** Whether A’s session is ended by the first broker, at any moment. */
  readonly evicts?: boolean;
}

const BROKER_DEAD = 'dead.broker';

export function restartModel(code: CodeUnderTest, turns: RestartCase): Model {
  const seats = (['A', 'B', 'N'] as const).map((name, index): Seat => {
    return { name, index, generation: name === 'N' ? 2 : 1, live: true };
  });
  const old = seats.slice(0, 2);
  const client = (place: number, plan: { after?: string; inbox?: string; givesUpOn?: string[] }) => {
    const name = seats[place]?.name as 'A' | 'B' | 'N';
    return {
      name,
      script: (world: World) => runClient(code, world, { seats, place, turns: turns[name] ?? [], ...plan }),
    };
  };
  const first: BrokerPlan = { seats: old, living: ['A', 'B'] };
  const second: BrokerPlan = { seats, living: ['N'], seated: ['A', 'B', 'N'], inbox: 'inbox 2', recovers: true };
  return {
    segments: lockSegments(code, seats),
    participants: [
      client(0, { givesUpOn: [BROKER_DEAD] }),
      client(1, { givesUpOn: [BROKER_DEAD] }),
      { name: 'broker', script: (world) => runBroker(code, world, first), mayDie: { [BROKER_DEAD]: 1 } },
      { name: 'next', script: (world) => succeed(code, world, second, old) },
      client(2, { after: 'broker ready', inbox: 'inbox 2' }),
      ...(turns.evicts === true ? [{ name: 'operator', environment: true, script: evictFirst }] : []),
    ],
    invariants: [mutualExclusion(code, seats)],
    stepRules: lockRules(code, seats),
    watched: lockWatched(seats),
    final: (state) => everythingFree(state, seats, hasDied(state) ? ['A', 'B', 'N'] : ['A', 'B']),
  };
}

const hasDied = (state: FinalState): boolean => state.endings.broker?.how === 'dead';

function succeed(code: CodeUnderTest, world: World, plan: BrokerPlan, old: readonly Seat[]): void {
  world.await(BROKER_DEAD);
  for (const seat of old) world.store(endedOf(seat), 1);
  runBroker(code, world, plan);
}

const X: Turn = { mode: 'exclusive' };

/**
 * A is evicted and goes on; N gets its index. Only writers: where there are readers, the process must be gone before. `generation`: of N;
 * with A’s, 1, their ids are the same, which is the fault that generations are there to prevent.
 */
export function reuseModel(code: CodeUnderTest, generation: number): Model {
  const seats: Seat[] = [
    { name: 'A', index: 0, generation: 1, live: true },
    { name: 'B', index: 1, generation: 1, live: true },
    { name: 'N', index: 0, generation, live: false },
  ];
  const client = (place: number, turns: readonly Turn[], after: { after?: string } = {}) => {
    const name = seats[place]?.name ?? '';
    return { name, script: (world: World) => runClient(code, world, { seats, place, turns, ...after }) };
  };
  return {
    segments: lockSegments(code, seats),
    participants: [
      client(0, [X]),
      client(1, [X]),
      client(2, [X], { after: 'seated.N' }),
      { name: 'broker', script: (world) => runBroker(code, world, { seats, living: ['A', 'B'] }) },
      { name: 'operator', environment: true, script: replaceFirst },
    ],
    invariants: [mutualExclusion(code, seats)],
    stepRules: lockRules(code, seats),
    watched: lockWatched(seats),
    final: (state) => everythingFree(state, seats, ['A', 'B', 'N']),
  };
}

function evictFirst(world: World): void {
  post(world, { kind: MessageKind.evict, seat: 0, id: 0n });
}

function replaceFirst(world: World): void {
  evictFirst(world);
  post(world, { kind: MessageKind.admit, seat: 2, id: 0n });
}
