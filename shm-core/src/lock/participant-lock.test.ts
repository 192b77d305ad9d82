import { describe, expect, it } from 'vitest';
import { FREE, holderBase, makeHoldId, RESERVED } from './hold-id.ts';
import { type Hold, TokensExhaustedError } from './participant-lock.ts';
import { removalMark } from './removal.ts';
import { LockWords } from './testing/lock-words.ts';

const TTL_NS = 1e9;
const must = (hold: Hold | null): Hold => hold ?? fail();
const fail = (): never => {
  throw new Error('the lock was not had');
};

/** Three participants and their hands. */
function three() {
  const words = new LockWords();
  const [a, b, c] = [words.join(0), words.join(1), words.join(2)];
  return {
    words,
    lock: words.lock,
    pages: [a.page, b.page, c.page],
    a: words.hands(a),
    b: words.hands(b),
    c: words.hands(c),
  };
}

describe('taking the lock in memory', () => {
  it('lets readers in together, and no writer with them', () => {
    const { a, b, c } = three();
    must(a.tryShared(TTL_NS));
    must(b.tryShared(TTL_NS));
    expect(c.tryExclusive(TTL_NS)).toBeNull();
  });

  it('lets one writer in, and nobody with it', () => {
    const { a, b, c } = three();
    must(a.tryExclusive(TTL_NS));
    expect(b.tryExclusive(TTL_NS)).toBeNull();
    expect(c.tryShared(TTL_NS)).toBeNull();
  });

  it('leaves no trace when it fails', () => {
    const { a, b, lock, pages } = three();
    const reading = must(a.tryShared(TTL_NS));
    expect(b.tryExclusive(TTL_NS)).toBeNull();
    expect(lock.holder).toBe(FREE);
    a.release(reading);
    must(a.tryExclusive(TTL_NS));
    expect(b.tryShared(TTL_NS)).toBeNull();
    expect(pages[1]?.sharedHold).toBe(FREE);
  });

  it.each(['tryShared', 'tryExclusive'] as const)('%s gets nobody past those who wait at the broker', (how) => {
    const { a, lock } = three();
    lock.storeQueued(true);
    expect(a[how](TTL_NS)).toBeNull();
    expect(lock.holder).toBe(FREE);
  });

  it.each(['tryShared', 'tryExclusive'] as const)('%s fails while the broker keeps the lock for a writer', (how) => {
    const { a, lock } = three();
    lock.storeHolder(RESERVED);
    expect(a[how](TTL_NS)).toBeNull();
    expect(lock.holder).toBe(RESERVED);
  });

  it('to write sees a hold that an earlier owner of its own index left', () => {
    const { words, lock } = three();
    const heir = words.join(1, 2);
    heir.page.casSharedHold(FREE, makeHoldId(holderBase(1, 1), 7));
    expect(words.hands(heir).tryExclusive(TTL_NS)).toBeNull();
    expect(lock.holder).toBe(FREE);
  });

  it('to read does not take the place of a hold that an earlier owner of its index left', () => {
    const { words } = three();
    const heir = words.join(1, 2);
    const left = makeHoldId(holderBase(1, 1), 7);
    heir.page.casSharedHold(FREE, left);
    expect(words.hands(heir).tryShared(TTL_NS)).toBeNull();
    expect(heir.page.sharedHold).toBe(left);
  });

  it('to write sees who joined since the last time', () => {
    const { words, a } = three();
    a.release(must(a.tryExclusive(TTL_NS)));
    const late = words.join(5);
    must(words.hands(late).tryShared(TTL_NS));
    expect(a.tryExclusive(TTL_NS)).toBeNull();
  });

  it('to write is the broker’s to decide when the page of somebody who may read is missing', () => {
    const { words, a, lock } = three();
    words.join(5);
    words.missing.add(5);
    expect(a.tryExclusive(TTL_NS)).toBeNull();
    expect(lock.holder).toBe(FREE);
    words.missing.clear();
    must(a.tryExclusive(TTL_NS));
  });

  it('gives every writer a higher token, and a reader the newest', () => {
    const { a, b, c } = three();
    const first = must(a.tryExclusive(TTL_NS));
    a.release(first);
    const second = must(b.tryExclusive(TTL_NS));
    b.release(second);
    expect(second.fencingToken).toBeGreaterThan(first.fencingToken);
    expect(must(c.tryShared(TTL_NS)).fencingToken).toBe(second.fencingToken);
  });

  it('never gives a token past the last of the epoch, and leaves the lock free then', () => {
    const { words, lock } = three();
    words.tokenLimit = 1n;
    const hands = words.hands(words.join(6));
    hands.release(must(hands.tryExclusive(TTL_NS)));
    expect(() => hands.tryExclusive(TTL_NS)).toThrow(TokensExhaustedError);
    expect(lock.holder).toBe(FREE);
  });

  it.each(['tryShared', 'tryExclusive'] as const)('%s fails once the mapping is deleted', (how) => {
    const { a, lock, pages } = three();
    lock.markDeleted();
    expect(a[how](TTL_NS)).toBeNull();
    expect([lock.holder, pages[0]?.sharedHold]).toEqual([FREE, FREE]);
  });

  it('tells readers and writers who was removed before them', () => {
    const { a, b, lock } = three();
    lock.storeDirty(99n);
    const reading = must(a.tryShared(TTL_NS));
    expect(reading.dirty).toBe(99n);
    a.release(reading);
    expect(must(b.tryExclusive(TTL_NS)).dirty).toBe(99n);
  });

  it('to write is not for those who can only read', () => {
    const { words } = three();
    expect(() => words.hands(words.join(7), 'read').tryExclusive(TTL_NS)).toThrow('read attachment');
  });
});

describe('a hold that is over', () => {
  it('cannot be released again, and frees nobody else’s', () => {
    const { a, b, lock } = three();
    const first = must(a.tryExclusive(TTL_NS));
    a.release(first);
    const second = must(b.tryExclusive(TTL_NS));
    expect(a.release(first)).toBe(false);
    expect(lock.holder).toBe(second.id);
  });

  it('is not the next hold of the same participant', () => {
    const { a } = three();
    const first = must(a.tryShared(TTL_NS));
    a.release(first);
    const second = must(a.tryShared(TTL_NS));
    expect(a.stillHeld(first)).toBe(false);
    expect(a.release(first)).toBe(false);
    expect(a.stillHeld(second)).toBe(true);
  });

  it('tells why it was removed', () => {
    const { a, pages } = three();
    const held = must(a.tryShared(TTL_NS));
    expect(a.removalReason).toBeNull();
    const page = pages[0] ?? fail();
    page.storeDeadline(removalMark('REVOKED'));
    page.casSharedHold(held.id, FREE);
    expect(a.removalReason).toBe('REVOKED');
    expect(a.renew(held, TTL_NS)).toBe(false);
  });

  it('leaves no mark on the next one', () => {
    const { a, pages } = three();
    pages[0]?.storeDeadline(removalMark('EXPIRED'));
    must(a.tryShared(TTL_NS));
    expect(a.removalReason).toBeNull();
  });
});

describe('renewing', () => {
  it('moves the deadline, also past one that has gone by', () => {
    const { words, a } = three();
    const held = must(a.tryExclusive(TTL_NS));
    words.nowNs += 5 * TTL_NS;
    expect(a.renew(held, TTL_NS)).toBe(true);
    expect(a.deadlineNs).toBe(BigInt(words.nowNs + TTL_NS));
  });

  it('makes the deadline another one even when no time has passed', () => {
    const { a } = three();
    const held = must(a.tryExclusive(TTL_NS));
    const before = a.deadlineNs;
    expect(a.renew(held, TTL_NS)).toBe(true);
    expect(a.deadlineNs).not.toBe(before);
  });

  it('fails when the hold is marked for removal, although it is still there', () => {
    const { a, pages } = three();
    const held = must(a.tryExclusive(TTL_NS));
    const mark = removalMark('EXPIRED');
    pages[0]?.storeDeadline(mark);
    expect(a.renew(held, TTL_NS)).toBe(false);
    expect(pages[0]?.deadline).toBe(mark);
  });
});

describe('the broker’s bell', () => {
  it.each(['shared', 'exclusive'] as const)('is rung when a %s hold is released while somebody waits', (mode) => {
    const { words, a, lock } = three();
    const held = must(mode === 'shared' ? a.tryShared(TTL_NS) : a.tryExclusive(TTL_NS));
    lock.storeQueued(true);
    a.release(held);
    expect(words.rings).toBe(1);
  });

  it('is not rung when nobody waits', () => {
    const { words, a } = three();
    a.release(must(a.tryExclusive(TTL_NS)));
    expect(words.rings).toBe(0);
  });
});

describe('downgrading', () => {
  it('leaves a reader with the same token, and no writer in between', () => {
    const { a, b, c } = three();
    const writing = must(a.tryExclusive(TTL_NS));
    const reading = must(a.downgrade(writing));
    expect(reading).toMatchObject({ mode: 'shared', fencingToken: writing.fencingToken });
    expect(a.stillHeld(writing)).toBe(false);
    expect(b.tryExclusive(TTL_NS)).toBeNull();
    must(c.tryShared(TTL_NS));
  });

  it('keeps the deadline', () => {
    const { words, a } = three();
    const writing = must(a.tryExclusive(TTL_NS));
    const { deadlineNs } = a;
    words.nowNs += TTL_NS / 2;
    must(a.downgrade(writing));
    expect(a.deadlineNs).toBe(deadlineNs);
  });

  it('of a hold that was lost leaves nothing behind', () => {
    const { a, b, lock, pages } = three();
    const writing = must(a.tryExclusive(TTL_NS));
    lock.casHolder(writing.id, FREE);
    const other = must(b.tryExclusive(TTL_NS));
    expect(a.downgrade(writing)).toBeNull();
    expect([lock.holder, pages[0]?.sharedHold]).toEqual([other.id, FREE]);
  });

  it('gives the lock back where an earlier owner’s hold is in the way', () => {
    const { words, a, lock, pages } = three();
    const writing = must(a.tryExclusive(TTL_NS));
    pages[0]?.casSharedHold(FREE, 77n);
    lock.storeQueued(true);
    expect(a.downgrade(writing)).toBeNull();
    expect([lock.holder, words.rings]).toEqual([FREE, 1]);
  });
});

describe('the mark of a writer that was removed', () => {
  it('is cleared by the writer who was told of it, and no other', () => {
    const { a, lock } = three();
    lock.storeDirty(5n);
    const held = must(a.tryExclusive(TTL_NS));
    lock.storeDirty(6n);
    a.markClean(held);
    expect(lock.dirty).toBe(6n);
    lock.storeDirty(5n);
    a.markClean(held);
    expect(lock.dirty).toBe(0n);
  });

  it('is left by a writer that gives up without a broker to remove it', () => {
    const { a, lock } = three();
    const held = must(a.tryExclusive(TTL_NS));
    a.abandon(held);
    expect([lock.dirty, lock.holder]).toEqual([held.id, FREE]);
  });

  it('is not left by a reader that gives up', () => {
    const { a, lock, pages } = three();
    a.abandon(must(a.tryShared(TTL_NS)));
    expect([lock.dirty, pages[0]?.sharedHold]).toEqual([0n, FREE]);
  });
});

describe('what the broker granted', () => {
  it('is confirmed by the words alone', () => {
    const { a, lock } = three();
    const id = a.nextHoldId();
    const granted = { fencingToken: 9n, dirty: 0n };
    expect(a.confirm('exclusive', id, granted)).toBeNull();
    lock.storeHolder(id);
    expect(a.confirm('exclusive', id, granted)).toEqual({ mode: 'exclusive', id, ...granted });
  });
});
