/**
 * Faults put into the code under test, one at a time. The explorer must find each of them within the bounds of every run of the tests, or
 * its cases are too weak to say anything about the code without faults.
 */
import type { Edit } from './code-under-test.ts';

export interface Mutation extends Edit {
  readonly name: string;
  /** The case that finds it. */
  readonly case: string;
}

const PUBLISHER = 'channel/publisher.ts';
const SLOT_MARKS = 'channel/slot-marks.ts';
const SUBSCRIBER = 'channel/subscriber.ts';
const PARTICIPANT_LOCK = 'lock/participant-lock.ts';
const REMOVER = 'lock/hold-remover.ts';
const ARBITER = 'lock/lock-arbiter.ts';

const CHANNEL_MUTATIONS: readonly Mutation[] = [
  {
    name: 'no second look at the pins after the mark',
    case: 'queue',
    file: SLOT_MARKS,
    from: 'else if (this.#pins.pinned(this.#frameIn(slot, seen))) refusal = LoanRefusal.noSlot;',
    to: '',
  },
  {
    name: 'a slot whose marker is gone counts as empty',
    case: 'killed-wrap',
    file: SLOT_MARKS,
    from: 'return isWriting(seen) ? publishedWord(descriptorSequenceLow(this.#memory, slot)) : seen;',
    to: 'return isWriting(seen) ? FREE : seen;',
  },
  {
    name: 'nobody looks after the mark who has joined',
    case: 'join',
    file: SLOT_MARKS,
    from: 'if (!this.#pages.refresh()) refusal = this.pageMissing();\n    else if (this.#pins',
    to: 'if (this.#pins',
  },
  {
    name: 'only one pin of each subscriber is looked at',
    case: 'hold-queue',
    file: 'channel/pins.ts',
    from: 'end: FIRST_PIN + this.#pinsOf(index)',
    to: 'end: FIRST_PIN + Math.min(this.#pinsOf(index), 1)',
  },
  {
    name: 'a subscriber that is gone is still waited for',
    case: 'killed-subscriber',
    file: 'mapping/lock-segment.ts',
    from: `    this.clearCounted(index);
    and32(this.words, WORD.live + (index >> 5), ~(1 << (index & 31)));`,
    to: '',
  },
  {
    name: 'the subscriber looks first and pins second',
    case: 'queue',
    file: SUBSCRIBER,
    from: `      this.#want(next.sequence);
      const entry = load32(ring, next.index);
      if (ringLap(entry) === next.lapBefore) {
        if (!this.#isWholeWrapBehind()) return TakeOutcome.nothing;
        this.#skipTo(next.sequence);
      } else if (ringLap(entry) !== next.lap) {
        this.#skipTo(Math.max(next.sequence, this.#memory.wholeHead() - geometry.ringEntries));
      } else if (!this.#check.isThere(ringSlot(entry), next.sequence)) {`,
    to: `      const entry = load32(ring, next.index);
      const early = this.#check.isThere(ringSlot(entry), next.sequence);
      this.#want(next.sequence);
      if (ringLap(entry) === next.lapBefore) {
        if (!this.#isWholeWrapBehind()) return TakeOutcome.nothing;
        this.#skipTo(next.sequence);
      } else if (ringLap(entry) !== next.lap) {
        this.#skipTo(Math.max(next.sequence, this.#memory.wholeHead() - geometry.ringEntries));
      } else if (!early) {`,
  },
  {
    name: 'letting one frame go unpins the one that is wanted next',
    case: 'hold-queue',
    file: 'channel/own-pins.ts',
    from: 'store32(this.#words, PAGE_WORD.pins + pin, word);',
    to: 'store32(this.#words, PAGE_WORD.pins + this.#ahead, word);',
  },
  {
    name: 'letting a frame go does not pin the next',
    case: 'queue',
    file: 'channel/own-pins.ts',
    from: 'word = publishedWord(this.#wanted);',
    to: '',
  },
  {
    name: 'a slot is marked without the CAS',
    case: 'late-wrap',
    file: SLOT_MARKS,
    from: 'if (!cas32(descriptors, at, seen, this.#writing)) return false;',
    to: 'Atomics.store(descriptors as unknown as Int32Array, at, this.#writing);',
  },
  {
    name: 'who found a slot marked is not told that it was put back',
    case: 'put-back',
    file: PUBLISHER,
    from: 'if (outcome < 0) this.wake();',
    to: '',
  },
  {
    name: 'a ring entry is taken without the CAS',
    case: 'late-predecessor',
    file: PUBLISHER,
    from: 'cas32(ring, index, entry, ringWord(lap, slot))',
    to: '(store32(ring, index, ringWord(lap, slot)), true)',
  },
  {
    name: 'the ring shows a slot before its state says what is in it',
    case: 'block',
    file: PUBLISHER,
    from: `    storeAhead32(descriptors, at, published);
    // IMPORTANT: the ring entry decides. Whoever moves it from the lap before owns the number; a predecessor that lost its lease
    // and comes late finds another lap there, and its frame is shown to nobody.
    if (cas32(ring, index, entry, ringWord(lap, slot))) return PUBLISHED;`,
    to: `    if (cas32(ring, index, entry, ringWord(lap, slot))) {
      storeAhead32(descriptors, at, published);
      return PUBLISHED;
    }`,
  },
  {
    name: 'the ring shows a slot before its sequence is there',
    case: 'block',
    file: PUBLISHER,
    from: `    writeSequence(memory, slot, sequence);
    // A plain store will do: nobody else changes the state of a slot that is WRITING while its owner lives.
    storeAhead32(descriptors, at, published);
    // IMPORTANT: the ring entry decides. Whoever moves it from the lap before owns the number; a predecessor that lost its lease
    // and comes late finds another lap there, and its frame is shown to nobody.
    if (cas32(ring, index, entry, ringWord(lap, slot))) return PUBLISHED;`,
    to: `    storeAhead32(descriptors, at, published);
    if (cas32(ring, index, entry, ringWord(lap, slot))) {
      writeSequence(memory, slot, sequence);
      return PUBLISHED;
    }`,
  },
  {
    name: 'a late head goes back',
    case: 'late-predecessor',
    file: 'channel/channel-memory.ts',
    from: 'cas32(this.lock.words, LOCK_WORD.head, low32(sequence - 1), low32(sequence));',
    to: 'Atomics.store(this.lock.words as unknown as Int32Array, LOCK_WORD.head, low32(sequence));',
  },
  {
    name: 'a slot that a predecessor is just publishing is taken',
    case: 'late-predecessor',
    file: SLOT_MARKS,
    from: 'if (pending || (',
    to: 'if ((',
  },
  {
    name: 'a slot is taken from a predecessor that is still writing it',
    case: 'late-predecessor',
    file: SLOT_MARKS,
    from: 'if (!lock.isGone(writerIndex(seen), writerGeneration(seen))) return false;',
    to: '',
  },
  {
    name: 'a sleeping subscriber is rung before its request is cleared',
    case: 'queue',
    file: PUBLISHER,
    from: 'if (cas32(words, PAGE_WORD.armed, 1, 0)) claimed.ring();',
    to: 'claimed.ring(); store32(words, PAGE_WORD.armed, 0);',
  },
  {
    name: 'a publisher that waits is not rung when a frame is let go',
    case: 'block',
    file: SUBSCRIBER,
    from: `    if (this.#ended) this.#pins.wantNothing();
    this.#wakePublisher();`,
    to: '    if (this.#ended) this.#pins.wantNothing();',
  },
  {
    name: 'a publisher that waits is not rung by one who takes only the newest',
    case: 'block-stopped',
    file: SUBSCRIBER,
    from: 'if (!this.#memory.geometry.block) return;',
    to: 'if (!this.#memory.geometry.block || this.#latest) return;',
  },
];

const LOCK_MUTATIONS: readonly Mutation[] = [
  {
    name: 'a writer looks for readers first and takes W second',
    case: 'reader-writer',
    file: PARTICIPANT_LOCK,
    from: 'if (!lock.casHolder(FREE, id)) return null;',
    to: `if (!this.#others.refresh() || this.#somebodyReads(this.#others)) return null;
    if (!lock.casHolder(FREE, id)) return null;
    this.#somebodyReads = () => false;`,
  },
  {
    name: 'a reader does not look at W after its store',
    case: 'reader-writer',
    file: PARTICIPANT_LOCK,
    from: `    if (lock.holder !== FREE) {
      page.casSharedHold(id, FREE);`,
    to: `    if (id === FREE) {
      page.casSharedHold(id, FREE);`,
  },
  {
    name: 'W is released without the CAS',
    case: 'revoked',
    file: PARTICIPANT_LOCK,
    from: `const released = mode === 'shared' ? this.#page.casSharedHold(id, FREE) : this.#lock.casHolder(id, FREE);`,
    to: `if (mode === 'exclusive') this.#lock.storeHolder(FREE);
    const released = mode === 'exclusive' || this.#page.casSharedHold(id, FREE);`,
  },
  {
    name: 'a deadline is renewed by a plain store',
    case: 'renewal',
    file: PARTICIPANT_LOCK,
    from: 'if (this.#page.casDeadline(seen, this.#deadlineAfter(seen, ttlNs))) return this.stillHeld(hold);',
    to: 'this.#page.storeDeadline(this.#deadlineAfter(seen, ttlNs));\n      return this.stillHeld(hold);',
  },
  {
    name: 'the overdue are marked by a plain store',
    case: 'renewal-shared',
    file: REMOVER,
    from: `if (page.casDeadline(deadline, removalMark('EXPIRED'))) return 'EXPIRED';`,
    to: `page.storeDeadline(removalMark('EXPIRED'));\n    if (deadline > 0n) return 'EXPIRED';`,
  },
  {
    name: 'dirty is read after the last look at W',
    case: 'revoked',
    file: PARTICIPANT_LOCK,
    from: `    const dirty = lock.dirty;
    if (lock.holder !== id) return null;`,
    to: `    if (lock.holder !== id) return null;
    const dirty = lock.dirty;`,
  },
  {
    name: 'W is free before dirty says that its holder was removed',
    case: 'killed',
    file: REMOVER,
    from: `    this.#lock.storeDirty(id);
    this.#lock.takeToken();
    this.#lock.storeHolder(this.#ports.writerIsNext() ? RESERVED : FREE);`,
    to: `    this.#lock.storeHolder(this.#ports.writerIsNext() ? RESERVED : FREE);
    this.#lock.storeDirty(id);
    this.#lock.takeToken();`,
  },
  {
    name: 'C is set after the look at W',
    case: 'two-writers',
    file: ARBITER,
    from: `      this.#lock.storeQueued(head !== undefined);
      if (head === undefined) {
        this.#lock.casHolder(RESERVED, FREE);
        return;
      }
      if (!(head.mode === 'exclusive' ? this.#serveExclusive(head) : this.#serveShared(head))) return;`,
    to: `      if (head === undefined) {
        this.#lock.storeQueued(false);
        this.#lock.casHolder(RESERVED, FREE);
        return;
      }
      if (!(head.mode === 'exclusive' ? this.#serveExclusive(head) : this.#serveShared(head))) {
        this.#lock.storeQueued(true);
        return;
      }`,
  },
  {
    name: 'who gives W back does not ring',
    case: 'try',
    file: PARTICIPANT_LOCK,
    from: `    this.#lock.casHolder(id, FREE);
    this.#ringIfQueued();
  }

  /** What the broker granted`,
    to: `    this.#lock.casHolder(id, FREE);
  }

  /** What the broker granted`,
  },
  {
    name: 'who releases rings first',
    case: 'two-writers',
    file: PARTICIPANT_LOCK,
    from: `const released = mode === 'shared'`,
    to: `if (this.#lock.queued) this.#ringBroker();\n    this.#ringIfQueued = () => undefined;\n    const released = mode === 'shared'`,
  },
  {
    name: 'the broker does not look at W after it has granted a reader',
    case: 'reader-writer',
    file: ARBITER,
    from: `    if (lock.holder !== FREE) {
      page.casSharedHold(head.id, FREE);`,
    to: `    if (lock.deleted) {
      page.casSharedHold(head.id, FREE);`,
  },
  {
    name: 'the broker grants a writer while somebody reads',
    case: 'reader-writer',
    file: ARBITER,
    from: 'if (!this.#drainReaders()) return false;',
    to: '',
  },
  {
    name: 'a downgrade frees W first',
    case: 'downgrade',
    file: PARTICIPANT_LOCK,
    from: `    if (!this.#page.casSharedHold(FREE, id)) {
      this.#giveBack(hold.id);
      return null;
    }`,
    to: '    this.#lock.casHolder(hold.id, FREE);\n    this.#page.casSharedHold(FREE, id);',
  },
  {
    name: 'who abandons does not say that the data may be torn',
    case: 'abandon',
    file: PARTICIPANT_LOCK,
    from: "if (hold.mode === 'exclusive' && !this.#lock.casDirty(hold.dirty, hold.id)) this.#lock.casDirty(0n, hold.id);",
    to: '',
  },
  {
    name: 'a cancellation forgets what was granted meanwhile',
    case: 'cancel',
    file: ARBITER,
    from: 'const released = at < 0 && (',
    to: 'const released = at < -1 && (',
  },
  {
    name: 'the next broker takes an unfinished removal for nothing',
    case: 'restart-removal',
    file: ARBITER,
    from: 'if (holder === RESERVED) this.#lock.storeHolder(FREE);',
    to: 'if (holder === RESERVED || holder === 2n) this.#lock.storeHolder(FREE);',
  },
  {
    name: 'nobody finishes a removal that another broker began',
    case: 'restart-removal',
    file: REMOVER,
    from: `      this.#finishRemoval(REMOVING);
      return true;`,
    to: '      return false;',
  },
];

const PLAIN_MUTATIONS: readonly Mutation[] = [
  {
    name: 'a control word is loaded without Atomics',
    case: 'come-round',
    file: SUBSCRIBER,
    from: 'load32(page.words, PAGE_WORD.cursor)',
    to: '((page.words as unknown as Int32Array)[PAGE_WORD.cursor] ?? 0)',
  },
  {
    name: 'a control word is stored without Atomics',
    case: 'latest',
    file: 'layout/control-words.ts',
    from: 'Atomics.store(words as unknown as Int32Array, index, value);',
    to: '(words as unknown as Int32Array)[index] = value;',
  },
];

export const MUTATIONS: readonly Mutation[] = [...CHANNEL_MUTATIONS, ...LOCK_MUTATIONS, ...PLAIN_MUTATIONS];
