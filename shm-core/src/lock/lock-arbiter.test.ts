import { describe, expect, it } from 'vitest';
import { LockSegment } from '../mapping/lock-segment.ts';
import { ParticipantPage } from '../mapping/participant-page.ts';
import type { MappedRange } from '../os/os.ts';
import { FREE, holderBase, makeHoldId, REMOVING, RESERVED } from './hold-id.ts';
import { LockArbiter, type LockGrant } from './lock-arbiter.ts';

const SECOND_NS = 1e9;
const FAR_NS = 2n ** 63n;

/** A page of zeroed memory, as far as control words go. */
const zeroedPage = () => ({ words32: () => new Uint32Array(1024) }) satisfies Pick<MappedRange, 'words32'>;

/** Three participants of generation 1, of which those in `ended` have no rights any more. */
function world() {
  const lock = new LockSegment(zeroedPage() as unknown as MappedRange);
  const participants = [0, 1, 2].map((index) => {
    return { index, generation: 1, page: new ParticipantPage(zeroedPage() as unknown as MappedRange) };
  });
  const ended = new Set<number>();
  const grants = new Map<bigint, LockGrant | null>();
  const removed: string[] = [];
  const arbiter = new LockArbiter({
    lock,
    nowNs: () => SECOND_NS,
    tokenLimit: 100n,
    participants: () => participants,
    participant: (index) => participants[index],
    isLiving: (index, generation) => generation === 1 && index in participants && !ended.has(index),
    onServed: ({ id }, grant) => void grants.set(id, grant),
    onRemoved: ({ id, mode }, reason) => void removed.push(`${mode} ${id} ${reason}`),
  });
  const participant = (index: number) => participants[index] ?? never();
  return { lock, participant, ended, grants, removed, arbiter };
}

const holdId = (index: number, serial = 1) => makeHoldId(holderBase(index, 1), serial);
const never = (): never => {
  throw new Error('no such participant');
};

describe('a reader that writes somebody else’s name where it holds', () => {
  it('keeps nobody from writing, however late its deadline', () => {
    const { participant, grants, arbiter, lock } = world();
    const reader = participant(0);
    reader.page.storeDeadline(FAR_NS);
    reader.page.casSharedHold(FREE, holdId(1));
    const id = holdId(2);
    arbiter.request({ participant: participant(2), id, mode: 'exclusive', ttlNs: SECOND_NS });
    expect(grants.has(id)).toBe(true);
    expect(lock.holder).toBe(id);
    expect(reader.page.sharedHold).toBe(FREE);
  });

  it('is not seen as a hold of the other', () => {
    const { participant, arbiter } = world();
    participant(0).page.casSharedHold(FREE, holdId(1));
    expect(arbiter.holds()).toEqual([]);
  });
});

describe('revoking', () => {
  it.each([FREE, RESERVED, REMOVING])('what is no hold (%s) leaves the words as they are', (value) => {
    const { lock, arbiter, removed } = world();
    lock.storeDirty(holdId(1));
    lock.storeHolder(value);
    const token = lock.fencingToken;
    arbiter.revoke(value, 'REVOKED');
    expect(lock.dirty).toBe(holdId(1));
    expect(lock.fencingToken).toBe(token);
    expect(removed).toEqual([]);
  });
});

describe('closing', () => {
  it('removes a writer that becomes a reader at the same time, and says why', () => {
    const { lock, participant, arbiter, removed } = world();
    const { page } = participant(0);
    const [writing, reading] = [holdId(0, 1), holdId(0, 2)];
    lock.casHolder(FREE, writing);
    const look = arbiter.holds.bind(arbiter);
    arbiter.holds = () => {
      const seen = look();
      page.casSharedHold(FREE, reading);
      lock.casHolder(writing, FREE);
      return seen;
    };
    arbiter.close('MAPPING_DELETED');
    expect(page.sharedHold).toBe(FREE);
    expect(removed).toEqual([`shared ${reading} MAPPING_DELETED`]);
  });
});
