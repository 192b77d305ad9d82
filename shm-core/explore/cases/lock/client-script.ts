/**
 * A client, with the real ParticipantLock: it takes the lock as its plan says, in memory or from the broker, uses what is guarded, and
 * gives it back. What is guarded are two ghost words that only a writer changes, both to the same value: who finds them different
 * has seen a write in the middle, which is a violation unless he was told that a writer was removed.
 */
import type { Hold, ParticipantLock } from '../../../src/lock/participant-lock.ts';
import type { CodeUnderTest } from '../../code-under-test.ts';
import type { WordRef } from '../../engine/address-space.ts';
import type { Outcome } from '../../engine/operations.ts';
import type { Value } from '../../engine/values.ts';
import type { World } from '../../engine/world.ts';
import {
  claimOf,
  holderWord,
  openLock,
  openPages,
  type Seat,
  sharedHoldOf,
  TOKEN_LIMIT,
  TTL_NS,
} from './lock-memory.ts';
import { MessageKind, post, unpackGrant } from './messages.ts';

/** One thing a client does. */
export interface Turn {
  readonly mode: 'shared' | 'exclusive';
  /** Renews once in the middle. */
  readonly renews?: boolean;
  /** Goes on as a reader before it gives back. */
  readonly downgrades?: boolean;
  /** May give up waiting at any moment. */
  readonly cancels?: boolean;
  /** Stops in the middle, and gives the hold back as one whose data may be torn. */
  readonly abandons?: boolean;
  /** Never asks the broker. */
  readonly tries?: boolean;
}

export interface ClientPlan {
  readonly seats: readonly Seat[];
  readonly place: number;
  readonly turns: readonly Turn[];
  /** Ghost words any of which ends its waiting for an answer: the broker’s death. */
  readonly givesUpOn?: readonly string[];
  /** Ghost word of its broker’s inbox. */
  readonly inbox?: string;
  /** Ghost word it waits for before it begins. */
  readonly after?: string;
}

export interface ClientReport {
  /** What came of each turn. */
  readonly turns: readonly string[];
}

const CALL_STEPS_MAX = 24;

/** Instead of a grant. */
const Answer = { refused: -1, brokerLost: -2, cancelled: -3 } as const;

interface Client {
  readonly world: World;
  readonly plan: ClientPlan;
  readonly seat: Seat;
  readonly lock: ParticipantLock;
  /** What has come of each turn so far. */
  readonly turns: string[];
}

export function runClient(code: CodeUnderTest, world: World, plan: ClientPlan): ClientReport {
  const seat = plan.seats[plan.place];
  if (seat === undefined) throw new Error(`there is no seat ${plan.place}`);
  if (plan.after !== undefined) world.await(plan.after);
  const lockSegment = openLock(code, world);
  const lock = new code.ParticipantLock({
    lock: lockSegment,
    page: new code.ParticipantPage(world.range(`page.${seat.name}`)),
    index: seat.index,
    generation: seat.generation,
    others: openPages(code, world, lockSegment, seat, plan.seats),
    tokenLimit: TOKEN_LIMIT,
    nowNs: () => world.load('clock'),
    isBrokerGone: () => (plan.givesUpOn ?? []).some((word) => world.load(word) !== 0),
    ringBroker: () => post(world, { kind: MessageKind.ring, seat: plan.place, id: 0n }, plan.inbox),
  });
  const client: Client = { world, plan, seat, lock, turns: [] };
  for (const turn of plan.turns) {
    progress(client, 'begins', null);
    client.turns.push(takeTurn(client, turn));
  }
  return { turns: client.turns };
}

/** With the lock and the turns that are over, this is all a client remembers. */
function progress({ world, lock, turns }: Client, stage: string, remembered: unknown): void {
  world.checkpoint({ stage, lock, turns, remembered }, { turns: [...turns] });
}

function takeTurn(client: Client, turn: Turn): string {
  const hold = acquire(client, turn);
  if (typeof hold === 'string') return hold;
  progress(client, 'holds', hold);
  return use(client, turn, hold);
}

function acquire(client: Client, turn: Turn): Hold | string {
  const { world, lock } = client;
  const taken = world.call(`try ${turn.mode}`, CALL_STEPS_MAX, () =>
    turn.mode === 'shared' ? lock.tryShared(TTL_NS) : lock.tryExclusive(TTL_NS),
  );
  if (taken !== null) return taken;
  return turn.tries === true ? 'refused' : requestFromBroker(client, turn);
}

function requestFromBroker(client: Client, { mode, cancels = false }: Turn): Hold | string {
  const { world, lock, plan, seat } = client;
  const id = lock.nextHoldId();
  post(world, { kind: MessageKind[mode], seat: plan.place, id }, plan.inbox);
  progress(client, 'asked', id);
  const answer = awaitAnswer(client, cancels);
  if (typeof answer === 'bigint') {
    const hold = world.call('confirm', CALL_STEPS_MAX, () => lock.confirm(mode, id, unpackGrant(answer)));
    return hold ?? 'lost before use';
  }
  if (answer !== Answer.cancelled) return answer === Answer.refused ? 'no session' : 'broker lost';
  post(world, { kind: MessageKind.cancel, seat: plan.place, id }, plan.inbox);
  world.atomically('cancelled', [`ack.${seat.name}`, `answer.${seat.name}`], ([ack = 0]) =>
    ack === 0 ? [] : { result: 0, writes: [0, 0] },
  );
  return 'cancelled';
}

function awaitAnswer({ world, plan, seat }: Client, cancels: boolean): Value {
  const words = [`answer.${seat.name}`, ...(plan.givesUpOn ?? [])];
  return world.atomically(cancels ? 'answer, or cancel' : 'answer', words, ([granted = 0, ...gone]): Outcome[] => {
    const outcomes: Outcome[] = [];
    if (granted !== 0) outcomes.push({ result: granted, writes: [0] });
    else if (gone.some((value) => value !== 0)) outcomes.push({ result: Answer.brokerLost, writes: [] });
    if (cancels) outcomes.push({ result: Answer.cancelled, writes: [] });
    return outcomes;
  });
}

function use(client: Client, turn: Turn, first: Hold): string {
  const { world, seat, lock } = client;
  let hold = first;
  const guarded = new Guarded(world, seat);
  guarded.begin(hold, 100 * seat.generation + 10 * (seat.index + 1) + client.turns.length);
  if (turn.renews === true && !world.call('renew', CALL_STEPS_MAX, () => lock.renew(hold, TTL_NS))) {
    // Whoever is told that it is lost stops in the middle, and leaves the hold to its remover, who says that the data may be torn.
    guarded.leave();
    if (turn.abandons === true) world.call('abandon', CALL_STEPS_MAX, () => lock.abandon(hold));
    return 'lost at renewal';
  }
  if (turn.abandons === true) {
    guarded.leave();
    world.call('abandon', CALL_STEPS_MAX, () => lock.abandon(hold));
    return 'abandoned';
  }
  guarded.end(hold);
  if (hold.mode === 'exclusive' && hold.dirty !== 0n) lock.markClean(hold);
  if (turn.downgrades === true) {
    guarded.onlyRead();
    const shared = world.call('downgrade', CALL_STEPS_MAX, () => lock.downgrade(hold));
    if (shared === null) {
      guarded.leave();
      return 'lost at downgrade';
    }
    hold = shared;
    guarded.begin(hold, 0);
    guarded.end(hold);
  }
  guarded.leave();
  return world.call('release', CALL_STEPS_MAX, () => lock.release(hold)) ? 'done' : 'lost';
}

/** The guarded words, and the ghost words that say who believes to hold. Each step is one, so that it can be judged as one. */
class Guarded {
  readonly #world: World;
  readonly #seat: Seat;

  constructor(world: World, seat: Seat) {
    this.#world = world;
    this.#seat = seat;
  }

  /** The word that says whether the hold stands: what its holder does later is no longer judged, and a careful storage refuses it. */
  #wordOf({ mode }: Hold): WordRef {
    return mode === 'exclusive' ? holderWord : sharedHoldOf(this.#seat);
  }

  begin(hold: Hold, value: number): void {
    const words = [claimOf(this.#seat), 'newest token', 'first', 'second', this.#wordOf(hold)];
    const writes = hold.mode === 'exclusive';
    this.#world.atomically(`begins to ${writes ? 'write' : 'read'}`, words, (values) => {
      const [, newest = 0, first = 0, second = 0, holder = 0] = values;
      const claim = writes ? 2 : 1;
      if (holder !== hold.id) return { result: 0, writes: [claim] };
      const rises = writes ? hold.fencingToken > BigInt(newest) : hold.fencingToken >= BigInt(newest);
      this.#world.assert(rises, `tokens rise: ${hold.mode} with ${hold.fencingToken} after ${newest}`);
      this.#world.assert(first === second || hold.dirty !== 0n, `${hold.mode} hold on torn data, and was not told`);
      return { result: 0, writes: writes ? [claim, hold.fencingToken, value] : [claim] };
    });
  }

  end(hold: Hold): void {
    const words = ['first', 'second', this.#wordOf(hold)];
    this.#world.atomically('ends', words, ([first = 0, second = 0, holder = 0]) => {
      if (holder !== hold.id) return { result: 0, writes: [] };
      if (hold.mode === 'exclusive') return { result: 0, writes: [undefined, first] };
      this.#world.assert(first === second || hold.dirty !== 0n, 'what is being read was written');
      return { result: 0, writes: [] };
    });
  }

  onlyRead(): void {
    this.#world.store(claimOf(this.#seat), 1);
  }
  leave(): void {
    this.#world.store(claimOf(this.#seat), 0);
  }
}
