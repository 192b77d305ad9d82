/** The cases of the lock: who takes part in each, and what is special about it. What must hold is the same in all. */
import type { CodeUnderTest } from '../../code-under-test.ts';
import type { Model, Participant } from '../../engine/case.ts';
import type { World } from '../../engine/world.ts';
import type { ExplorerCase } from '../explorer-case.ts';
import { runBroker } from './broker-script.ts';
import { runClient, type Turn } from './client-script.ts';
import {
  everythingFree,
  lockRules,
  lockSegments,
  lockWatched,
  mutualExclusion,
  type Seat,
  TICK_NS,
} from './lock-memory.ts';
import { restartModel, reuseModel } from './lock-succession.ts';
import { MessageKind, post } from './messages.ts';

interface LockCase {
  /** What each client does, by name; its place is its index. */
  readonly clients: Readonly<Record<string, readonly Turn[]>>;
  /** How often time passes, at any moment. */
  readonly ticks?: number;
  /** Clients that may be killed. */
  readonly mortal?: readonly string[];
  /** Clients whose holds an administrator takes away, or whose session he ends, at any moment. */
  readonly revokes?: readonly string[];
  readonly evicts?: readonly string[];
}

const seatAt = (name: string, index: number): Seat => ({ name, index, generation: 1, live: true });

/** Clients, one broker, and whatever the case adds. */
function lockModel(
  code: CodeUnderTest,
  { clients, ticks = 0, mortal = [], revokes = [], evicts = [] }: LockCase,
): Model {
  const seats = Object.keys(clients).map(seatAt);
  const timer = mortal.length > 0;
  const participants: Participant[] = seats.map(({ name }, place) => ({
    name,
    script: (world) => runClient(code, world, { seats, place, turns: clients[name] ?? [] }),
    ...(mortal.includes(name) ? { mayDie: { [`dead.${name}`]: 1 } } : {}),
  }));
  const living = seats.map(({ name }) => name);
  participants.push({
    name: 'broker',
    script: (world) => runBroker(code, world, { seats, living, mortal, timer, clock: ticks > 0 }),
  });
  if (ticks > 0) participants.push({ name: 'time', environment: true, script: (world) => passTime(world, ticks) });
  if (revokes.length + evicts.length > 0) {
    const orders = [
      ...revokes.map((name) => ({ kind: MessageKind.revoke, name })),
      ...evicts.map((name) => ({ kind: MessageKind.evict, name })),
    ];
    participants.push({
      name: 'operator',
      environment: true,
      script: (world) => {
        for (const { kind, name } of orders) {
          const seat = living.indexOf(name);
          post(world, { kind, seat, id: (BigInt(seat + 1) << 56n) | (1n << 32n) });
        }
      },
    });
  }
  return {
    segments: lockSegments(code, seats),
    participants,
    invariants: [mutualExclusion(code, seats)],
    stepRules: lockRules(code, seats),
    watched: lockWatched(seats),
    final: (state) => everythingFree(state, seats, living),
  };
}

function passTime(world: World, ticks: number): void {
  for (let tick = 1; tick <= ticks; tick += 1) world.store('clock', tick * TICK_NS);
}

const X: Turn = { mode: 'exclusive' };
const S: Turn = { mode: 'shared' };

const describeCase = (
  name: string,
  title: string,
  plan: LockCase,
  ciBound = Number.POSITIVE_INFINITY,
): ExplorerCase => ({
  name,
  title,
  ciBound,
  model: (code) => lockModel(code, plan),
});

export const LOCK_CASES: readonly ExplorerCase[] = [
  describeCase('two-writers', 'two writers, each twice', { clients: { A: [X, X], B: [X, X] } }),
  describeCase('reader-writer', 'a reader and a writer, each twice', { clients: { A: [S, S], B: [X, X] } }),
  describeCase('three', 'a reader and two writers', { clients: { A: [S], B: [X], C: [X] } }, 3),
  describeCase('renewal', 'a renewal against the removal of the overdue, by a writer who waits', {
    clients: { A: [{ ...X, renews: true }], B: [X] },
    ticks: 2,
  }),
  describeCase('renewal-shared', 'the renewal of a reader against its removal', {
    clients: { A: [{ ...S, renews: true }], B: [X] },
    ticks: 2,
  }),
  describeCase('revoked', 'an administrator takes the hold of one that is alive', {
    clients: { A: [X, S], B: [X] },
    revokes: ['A'],
  }),
  describeCase('evicted', 'the session of a process that goes on is ended', {
    clients: { A: [S, X], B: [X] },
    evicts: ['A'],
  }),
  describeCase('downgrade', 'a writer goes on as a reader while another waits to write', {
    clients: { A: [{ ...X, downgrades: true }], B: [X] },
    ticks: 1,
  }),
  describeCase('cancel', 'who waits gives up at any moment', {
    clients: { A: [S, { ...X, cancels: true }], B: [X] },
  }),
  describeCase('cancel-shared', 'a reader who waits gives up at any moment', {
    clients: { A: [X, { ...S, cancels: true }], B: [X] },
  }),
  describeCase('try', 'one who only tries, and never asks the broker', {
    clients: {
      A: [S, X],
      B: [
        { ...X, tries: true },
        { ...S, tries: true },
      ],
    },
  }),
  describeCase('abandon', 'a writer gives up in the middle', {
    clients: { A: [{ ...X, abandons: true }], B: [X, S] },
  }),
  describeCase('abandon-overdue', 'a writer that was lost gives up what may be there still', {
    clients: { A: [{ ...X, renews: true, abandons: true }], B: [X, X] },
    ticks: 2,
  }),
  describeCase('killed', 'a holder or waiter is killed at any step', { clients: { A: [X], B: [X, S] }, mortal: ['A'] }),
  describeCase('killed-reader', 'a reader is killed at any step', { clients: { A: [S], B: [X, S] }, mortal: ['A'] }),
  {
    name: 'restart',
    title: 'the broker is killed at any step, and the next begins on the same words',
    ciBound: Number.POSITIVE_INFINITY,
    model: (code) => restartModel(code, { A: [X], B: [X], N: [X] }),
  },
  {
    name: 'restart-readers',
    title: 'the same with readers',
    ciBound: 3,
    model: (code) => restartModel(code, { A: [S], B: [X], N: [S] }),
  },
  {
    name: 'restart-removal',
    title: 'the broker is killed while it removes a holder',
    ciBound: Number.POSITIVE_INFINITY,
    model: (code) => restartModel(code, { A: [X], N: [X], evicts: true }),
  },
  {
    name: 'reuse',
    title: 'a new session gets the index of one that goes on',
    ciBound: 3,
    model: (code) => reuseModel(code, 2),
  },
];
