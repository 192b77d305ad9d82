import { describe, expect, it } from 'vitest';
import { FREE, holderBase, holdIndex, makeHoldId, REMOVING, RESERVED } from './hold-id.ts';
import { HoldRemover, type LockParticipant } from './hold-remover.ts';
import { type RemovalReason, removalMark, removalReason } from './removal.ts';
import { LockWords } from './testing/lock-words.ts';

const NOW_NS = 1e9;
const PAST_NS = BigInt(NOW_NS);
const FUTURE_NS = BigInt(NOW_NS) + 1n;
const idOf = ({ index, generation }: LockParticipant, serial = 1): bigint =>
  makeHoldId(holderBase(index, generation), serial);

/** Two participants, and a remover that believes what the sets say. */
function world() {
  const words = new LockWords();
  const participants = [words.join(0), words.join(1)] as const;
  const dead = new Set<number>();
  const waiting = new Set<number>();
  const told: string[] = [];
  const blocked: bigint[] = [];
  const next = { writes: false };
  const remover = new HoldRemover({
    lock: words.lock,
    nowNs: () => NOW_NS,
    participant: (index) => words.participants.get(index),
    isLiving: (index) => !dead.has(index),
    isWaiting: (index) => waiting.has(index),
    writerIsNext: () => next.writes,
    onRemoved: ({ id, mode }, reason: RemovalReason) => told.push(`${mode} of ${holdIndex(id)}: ${reason}`),
    onBlocked: (deadlineNs) => blocked.push(deadlineNs),
  });
  const read = (participant: LockParticipant, deadlineNs: bigint): bigint => {
    participant.page.storeDeadline(deadlineNs);
    participant.page.casSharedHold(FREE, idOf(participant));
    return idOf(participant);
  };
  const write = (participant: LockParticipant, deadlineNs: bigint): bigint => {
    participant.page.storeDeadline(deadlineNs);
    words.lock.storeHolder(idOf(participant));
    return idOf(participant);
  };
  return { words, lock: words.lock, remover, participants, dead, waiting, told, blocked, next, read, write };
}

describe('a writer in somebody’s way', () => {
  it('stays until its deadline, and the broker is told when to look again', () => {
    const { lock, remover, participants, write, blocked, told } = world();
    const id = write(participants[0], FUTURE_NS);
    expect(remover.clearHolder(id)).toBe(false);
    expect([lock.holder, lock.dirty]).toEqual([id, 0n]);
    expect([blocked, told]).toEqual([[FUTURE_NS], []]);
  });

  it('goes at its deadline: marked, the data in doubt, a token burnt', () => {
    const { lock, remover, participants, write, told } = world();
    const id = write(participants[0], PAST_NS);
    const token = lock.fencingToken;
    expect(remover.clearHolder(id)).toBe(true);
    expect([lock.holder, lock.dirty, lock.fencingToken]).toEqual([FREE, id, token + 1n]);
    expect(removalReason(participants[0].page.deadline)).toBe('EXPIRED');
    expect(told).toEqual(['exclusive of 0: EXPIRED']);
  });

  it('goes at once when its session is over', () => {
    const { lock, remover, participants, write, dead, told } = world();
    const id = write(participants[0], FUTURE_NS);
    dead.add(0);
    expect(remover.clearHolder(id)).toBe(true);
    expect([lock.holder, lock.dirty]).toEqual([FREE, id]);
    expect(told).toEqual(['exclusive of 0: OWNER_DIED']);
  });

  it('goes for the reason that another removal has marked', () => {
    const { remover, participants, write, told } = world();
    const id = write(participants[0], removalMark('REVOKED'));
    expect(remover.clearHolder(id)).toBe(true);
    expect(told).toEqual(['exclusive of 0: REVOKED']);
  });

  it('goes when it waits itself: it has given up what it held', () => {
    const { lock, remover, participants, write, waiting } = world();
    const id = write(participants[0], FUTURE_NS);
    waiting.add(0);
    expect(remover.clearHolder(id)).toBe(true);
    expect(lock.holder).toBe(FREE);
  });

  it('of a generation that is nobody’s now goes, and its successor keeps its deadline', () => {
    const { words, lock, remover, dead } = world();
    const before = makeHoldId(holderBase(0, 1), 1);
    const heir = words.join(0, 2);
    heir.page.storeDeadline(FUTURE_NS);
    lock.storeHolder(before);
    dead.add(0);
    expect(remover.clearHolder(before)).toBe(true);
    expect([lock.holder, heir.page.deadline]).toEqual([FREE, FUTURE_NS]);
  });

  it('that has just released is not removed, and the data is not in doubt', () => {
    const { lock, remover, participants, write, dead, told } = world();
    const id = write(participants[0], PAST_NS);
    lock.storeHolder(idOf(participants[1]));
    dead.add(0);
    remover.clearHolder(id);
    expect([lock.holder, lock.dirty, told]).toEqual([idOf(participants[1]), 0n, []]);
  });

  it('leaves the lock to the broker when the next one wants to write', () => {
    const { lock, remover, participants, write, next } = world();
    next.writes = true;
    remover.clearHolder(write(participants[0], PAST_NS));
    expect(lock.holder).toBe(RESERVED);
  });
});

describe('a removal that a broker did not finish', () => {
  it('is finished: the data is in doubt, and the lock free', () => {
    const { lock, remover } = world();
    lock.storeHolder(REMOVING);
    expect(remover.clearHolder(REMOVING)).toBe(true);
    expect(lock.holder).toBe(FREE);
    expect(lock.dirty).not.toBe(0n);
  });
});

describe('a reader in somebody’s way', () => {
  it('stays until its deadline', () => {
    const { remover, participants, read, blocked } = world();
    const id = read(participants[0], FUTURE_NS);
    expect(remover.clearShared(participants[0], id)).toBe(false);
    expect([participants[0].page.sharedHold, blocked]).toEqual([id, [FUTURE_NS]]);
  });

  it('goes at its deadline, and nobody’s data is in doubt for it', () => {
    const { lock, remover, participants, read, told } = world();
    const id = read(participants[0], PAST_NS);
    expect(remover.clearShared(participants[0], id)).toBe(true);
    expect([participants[0].page.sharedHold, lock.dirty]).toEqual([FREE, 0n]);
    expect(told).toEqual(['shared of 0: EXPIRED']);
  });
});

describe('taking a hold away', () => {
  it('marks it before it goes, whatever its deadline', () => {
    const { lock, remover, participants, read, write } = world();
    const writing = write(participants[0], FUTURE_NS);
    const reading = read(participants[1], FUTURE_NS);
    expect(remover.takeExclusive(writing, 'REVOKED')).toBe(true);
    expect(remover.takeShared(reading, 'MAPPING_DELETED')).toBe(true);
    expect([lock.holder, participants[1].page.sharedHold]).toEqual([FREE, FREE]);
    const reasons = participants.map(({ page }) => removalReason(page.deadline));
    expect(reasons).toEqual(['REVOKED', 'MAPPING_DELETED']);
  });

  it('that is over takes nothing, and marks nothing', () => {
    const { lock, remover, participants, read, write } = world();
    write(participants[0], FUTURE_NS);
    read(participants[1], FUTURE_NS);
    expect(remover.takeExclusive(idOf(participants[0], 9), 'REVOKED')).toBe(false);
    expect(remover.takeShared(idOf(participants[1], 9), 'REVOKED')).toBe(false);
    expect(lock.holder).toBe(idOf(participants[0]));
    expect(participants.map(({ page }) => page.deadline)).toEqual([FUTURE_NS, FUTURE_NS]);
  });
});
