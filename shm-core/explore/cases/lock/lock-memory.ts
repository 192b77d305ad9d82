/**
 * The memory of a lock case: the lock segment, a page for each seat, and the ghost words by which the case follows who holds. A seat is a
 * participant: an index and a generation.
 */
import { LOCK_SEGMENT, PARTICIPANT_PAGE } from '../../../src/layout/regions.ts';
import type { LockSegment } from '../../../src/mapping/lock-segment.ts';
import type { ClaimedPage, ParticipantPages } from '../../../src/mapping/participant-pages.ts';
import type { CodeUnderTest } from '../../code-under-test.ts';
import { controlWordsOf, type Segment, type WordRef } from '../../engine/address-space.ts';
import type { FinalState, Invariant, StepRule } from '../../engine/case.ts';
import { ScratchRange } from '../../engine/scratch.ts';
import type { Value } from '../../engine/values.ts';
import type { World } from '../../engine/world.ts';

export interface Seat {
  /** Its name in ghost words and segments. */
  readonly name: string;
  readonly index: number;
  readonly generation: number;
  /** Whether it takes part from the start. */
  readonly live: boolean;
}

export const MAPPING_ID = 7n;
/** Time is a ghost word that steps by this much. */
export const TICK_NS = 1000;
/** Over at the next tick. */
export const TTL_NS = 500;
export const TOKEN_LIMIT = 1n << 40n;
const BELL = new Uint8Array(16).fill(9);

export const holderWord: WordRef = { segment: 'lock', word: 'holder' };
export const queuedWord: WordRef = { segment: 'lock', word: 'queued' };
export const dirtyWord: WordRef = { segment: 'lock', word: 'dirty' };
export const tokenWord: WordRef = { segment: 'lock', word: 'fencingToken' };
export const deadlineOf = (seat: Seat): WordRef => ({ segment: `page.${seat.name}`, word: 'deadline' });
export const sharedHoldOf = (seat: Seat): WordRef => ({ segment: `page.${seat.name}`, word: 'sharedHold' });
/** Ghost: what the seat's client believes to hold: 0 nothing, 1 shared, 2 exclusive. */
export const claimOf = (seat: Seat): string => `claim.${seat.name}`;
/** Ghost: the broker has ended the session. */
export const endedOf = (seat: Seat): string => `ended.${seat.name}`;

const newSegment = (name: string, layout: typeof LOCK_SEGMENT | typeof PARTICIPANT_PAGE): Segment => ({
  name,
  initial: new ArrayBuffer(layout.bytes),
  controlWords: controlWordsOf(layout),
});

export function lockSegments(code: CodeUnderTest, seats: readonly Seat[]): Segment[] {
  const lockMemory = newSegment('lock', LOCK_SEGMENT);
  const lock = new code.LockSegment(new ScratchRange(lockMemory.initial));
  lock.initialise({ mappingId: MAPPING_ID, maxParticipants: 8, brokerBell: BELL, committedBytes: 4096 });
  const pages = seats.map((seat) => {
    const memory = newSegment(`page.${seat.name}`, PARTICIPANT_PAGE);
    const page = new code.ParticipantPage(new ScratchRange(memory.initial));
    page.initialise({ mappingId: MAPPING_ID, index: seat.index, generation: seat.generation, bell: BELL, cursor: 0 });
    if (seat.live) lock.setLive(seat.index, { generation: seat.generation, maxPins: 0, counted: false });
    return memory;
  });
  return [lockMemory, ...pages];
}

export const openLock = (code: CodeUnderTest, world: World): LockSegment => new code.LockSegment(world.range('lock'));

/** The pages of all others, as the broker would give them. */
export function openPages(
  code: CodeUnderTest,
  world: World,
  lock: LockSegment,
  own: Seat,
  seats: readonly Seat[],
): ParticipantPages {
  return new code.ParticipantPages(lock, own.index, (indices) =>
    indices.flatMap((index): ClaimedPage[] => {
      const generation = lock.generationOf(index);
      const seat = seats.find((candidate) => candidate.index === index && candidate.generation === generation);
      if (seat === undefined) return [];
      const page = new code.ParticipantPage(world.range(`page.${seat.name}`));
      return [{ index, generation, page, ring: () => undefined, release: () => undefined }];
    }),
  );
}

/**
 * Mutual exclusion: of those who believe to hold, and whose hold nobody has marked as removed and whose session stands, one who writes
 * is alone.
 */
export function mutualExclusion(code: CodeUnderTest, seats: readonly Seat[]): Invariant {
  return {
    words: seats.flatMap((seat) => [claimOf(seat), deadlineOf(seat), endedOf(seat)]),
    check: (values) => {
      const holders = seats.flatMap((seat, i) => {
        const [claim = 0, deadline = 0, ended = 0] = values.slice(3 * i, 3 * i + 3);
        const stands = claim !== 0 && ended === 0 && !code.isRemovalMark(BigInt(deadline));
        return stands ? [{ seat, exclusive: claim === 2 }] : [];
      });
      if (holders.length < 2 || !holders.some(({ exclusive }) => exclusive)) return null;
      const names = holders.map(({ seat, exclusive }) => `${seat.name} ${exclusive ? 'writes' : 'reads'}`);
      return `mutual exclusion: ${names.join(' while ')}`;
    },
  };
}

/**
 * Who may change what: tokens only rise; W is taken from its holder by nobody but himself and the broker; nobody is marked as overdue
 * before his deadline; and only who holds exclusively says that the data is good (or one who is just being removed: his remover
 * says after it that it is not).
 */
export function lockRules(code: CodeUnderTest, seats: readonly Seat[]): StepRule[] {
  const isOf = (id: Value, name: string): boolean =>
    seats.some(
      (seat) => seat.name === name && BigInt(id) >> 32n === code.holderBase(seat.index, seat.generation) >> 32n,
    );
  const isBroker = (name: string): boolean => !seats.some((seat) => seat.name === name);
  return [
    {
      word: tokenWord,
      beside: [],
      check: ({ before, after }) => (after > before ? null : `the newest token falls from ${before} to ${after}`),
    },
    {
      word: holderWord,
      beside: [],
      check: ({ by, before }) =>
        before === 0n || isOf(before, by) || isBroker(by) ? null : 'takes the lock from another',
    },
    {
      word: dirtyWord,
      beside: [holderWord],
      check: ({ by, after, beside: [holder = 0n] }) =>
        after !== 0n || isOf(holder, by) || holder === code.REMOVING
          ? null
          : 'says that the data is good, and does not hold',
    },
    ...seats.map((seat): StepRule => {
      return {
        word: deadlineOf(seat),
        beside: ['clock'],
        check: ({ before, after, beside: [now = 0] }) =>
          after !== code.removalMark('EXPIRED') || BigInt(now) >= BigInt(before) ? null : `overdue before its deadline`,
      };
    }),
  ];
}

/** What must be so when nobody can go on: everything is free and nobody waits. */
export function everythingFree(state: FinalState, seats: readonly Seat[], alive: readonly string[]): string | null {
  for (const name of alive) {
    const ending = state.endings[name];
    if (ending?.how === 'waiting') return `a lost wake-up: ${name} waits for ever`;
  }
  const words: [string, WordRef][] = [
    ['W', holderWord],
    ['C', queuedWord],
    ...seats.map((seat): [string, WordRef] => [`H of ${seat.name}`, sharedHoldOf(seat)]),
  ];
  const taken = words.find(([, word]) => BigInt(state.value(word)) !== 0n);
  return taken === undefined
    ? null
    : `at the end ${taken[0]} is 0x${BigInt(state.value(taken[1])).toString(16)}, not free`;
}

export const lockWatched = (seats: readonly Seat[]): WordRef[] => [holderWord, queuedWord, ...seats.map(sharedHoldOf)];
