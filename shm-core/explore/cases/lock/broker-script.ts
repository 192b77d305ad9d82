/**
 * The broker, with the real arbiter: it takes what is in its inbox, one message after the other, and looks again when a deadline has
 * passed, or (`timer`) when nothing has happened for long while somebody waits.
 */
import type { LockParticipant } from '../../../src/lock/hold-remover.ts';
import type { LockArbiter } from '../../../src/lock/lock-arbiter.ts';
import type { CodeUnderTest } from '../../code-under-test.ts';
import type { Outcome } from '../../engine/operations.ts';
import type { Value } from '../../engine/values.ts';
import type { World } from '../../engine/world.ts';
import { endedOf, openLock, type Seat, TOKEN_LIMIT, TTL_NS } from './lock-memory.ts';
import { append, type Message, MessageKind, packGrant, unpackMessages } from './messages.ts';

export interface BrokerPlan {
  readonly seats: readonly Seat[];
  /** Sessions that live when it starts, by seat name. */
  readonly living: readonly string[];
  /** Seats whose pages are there; those of the living, unless others are left over. */
  readonly seated?: readonly string[];
  readonly inbox?: string;
  /** Clients that may be killed: their ghost words are `dead.NAME`. */
  readonly mortal?: readonly string[];
  /** Looks again when nothing else happens and somebody waits. */
  readonly timer?: boolean;
  /** Begins on words that another broker left. */
  readonly recovers?: boolean;
  /** Whether time passes in this case. */
  readonly clock?: boolean;
}

interface BrokerState {
  readonly arbiter: LockArbiter;
  /** One for each seat. */
  readonly participants: readonly LockParticipant[];
  /** Names of seats whose sessions live. */
  readonly living: Set<string>;
  /** Names of seats whose pages are there: at most one for each index. */
  readonly seated: Set<string>;
  /** The timer has found nothing to do since something happened. */
  quiet: boolean;
}

/** Above all that one call may do with three participants. */
const CALL_STEPS_MAX = 200;
/** Tokens of the next broker begin here. */
export const NEXT_EPOCH = 1n << 20n;

export function runBroker(code: CodeUnderTest, world: World, plan: BrokerPlan): void {
  const state = openBroker(code, world, plan);
  if (plan.recovers === true) {
    world.call('recover', CALL_STEPS_MAX, () => state.arbiter.recover(NEXT_EPOCH));
    world.store('broker ready', 1);
  }
  for (;;) {
    world.checkpoint(state);
    const messages = receive(world, plan, state);
    if (messages.length === 0) world.call('pump', CALL_STEPS_MAX, () => state.arbiter.pump());
    for (const message of messages) handle({ code, world, plan, state }, message);
  }
}

function openBroker(code: CodeUnderTest, world: World, plan: BrokerPlan): BrokerState {
  const { seats } = plan;
  const living = new Set(plan.living);
  const seated = new Set(plan.seated ?? plan.living);
  const participants = seats.map(({ name, index, generation }): LockParticipant => {
    return { index, generation, page: new code.ParticipantPage(world.range(`page.${name}`)) };
  });
  const present = (): LockParticipant[] => participants.filter((_, i) => seated.has(seats[i]?.name ?? ''));
  const arbiter = new code.LockArbiter({
    lock: openLock(code, world),
    nowNs: () => world.load('clock'),
    tokenLimit: TOKEN_LIMIT,
    participants: present,
    participant: (index) => present().find((participant) => participant.index === index),
    isLiving: (index, generation) =>
      seats.some((seat) => seat.index === index && seat.generation === generation && living.has(seat.name)),
    onServed: ({ participant }, grant) => {
      const seat = seats[participants.indexOf(participant)];
      world.assert(grant !== null, 'there is a token for every grant');
      world.store(`answer.${seat?.name}`, packGrant(grant.fencingToken, grant.dirty));
    },
    onRemoved: () => undefined,
  });
  return { arbiter, participants, living, seated, quiet: false };
}

/** Waits until there is something to do. No message: look again. */
function receive(
  world: World,
  { seats, mortal = [], timer, clock, inbox: own = 'inbox' }: BrokerPlan,
  state: BrokerState,
): Message[] {
  const deadline = state.arbiter.nextDeadlineNs;
  const words = [own, ...mortal.map((name) => `dead.${name}`)];
  if (clock === true && deadline !== null) words.push('clock');
  const timed = timer === true && !state.quiet && state.arbiter.queue.length > 0;
  const outcomesOf = ([inbox = 0, ...others]: readonly Value[]): readonly Outcome[] => {
    let messages = BigInt(inbox);
    const told = mortal.map((name, i) => {
      if (others[i] !== 1) return undefined;
      messages = append(messages, {
        kind: MessageKind.death,
        seat: seats.findIndex((seat) => seat.name === name),
        id: 0n,
      });
      return 2;
    });
    if (messages !== 0n) return [{ result: messages, writes: [0, ...told] }];
    const now = others[mortal.length];
    if (now !== undefined && deadline !== null && BigInt(now) >= deadline) return [{ result: 0n, writes: [] }];
    return timed ? [{ result: -1n, writes: [], idle: true }] : [];
  };
  const result = BigInt(world.atomically('receive', words, outcomesOf));
  state.quiet = result === -1n;
  return result > 0n ? unpackMessages(result) : [];
}

interface Broker {
  readonly code: CodeUnderTest;
  readonly world: World;
  readonly plan: BrokerPlan;
  readonly state: BrokerState;
}

function handle({ code, world, plan, state }: Broker, { kind, seat: place, id }: Message): void {
  const { seats } = plan;
  const { arbiter, living } = state;
  const seat = seats[place];
  const participant = state.participants[place];
  if (seat === undefined || participant === undefined) throw new Error(`there is no seat ${place}`);
  const call = (name: string, run: () => unknown): void => void world.call(name, CALL_STEPS_MAX, run);
  if (kind === MessageKind.ring) call('pump', () => arbiter.pump());
  else if (kind === MessageKind.revoke) {
    const hold = arbiter.holds().find((seen) => seen.id >> 32n === id >> 32n);
    if (hold !== undefined) call('revoke', () => arbiter.revoke(hold.id, 'REVOKED'));
  } else if (kind === MessageKind.cancel) {
    call('cancel', () => arbiter.cancel(id));
    world.store(`ack.${seat.name}`, 1);
  } else if (kind === MessageKind.evict || kind === MessageKind.death) {
    living.delete(seat.name);
    world.store(endedOf(seat), 1);
    call('participantEnded', () => {
      const dropped = arbiter.participantEnded(seat.index, seat.generation, 'OWNER_DIED');
      if (dropped.length > 0) world.store(`answer.${seat.name}`, -1);
    });
  } else if (kind === MessageKind.admit) admit(code, world, plan, state, seat);
  else if (living.has(seat.name)) {
    const mode = kind === MessageKind.shared ? 'shared' : 'exclusive';
    call('request', () => arbiter.request({ participant, id, mode, ttlNs: TTL_NS }));
  } else world.store(`answer.${seat.name}`, -1);
}

/** A new participant, perhaps with the index of one whose session has ended. */
function admit(code: CodeUnderTest, world: World, { seats }: BrokerPlan, state: BrokerState, seat: Seat): void {
  for (const rival of seats) if (rival.index === seat.index) state.seated.delete(rival.name);
  state.seated.add(seat.name);
  state.living.add(seat.name);
  openLock(code, world).setLive(seat.index, { generation: seat.generation, maxPins: 0, counted: false });
  world.store(`seated.${seat.name}`, 1);
}
