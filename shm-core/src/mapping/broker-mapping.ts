/**
 * A mapping as the broker owns it: its segments, its participants and the words that only the broker writes. It decides
 * nothing: who may join, who publishes and when a process is gone is told to it.
 *
 * The broker never touches a data segment after initialising it: a writer could punch pages out of one, and reading there
 * could then kill. Lock segments and pages are base pages, where a punched page reads as zero.
 */
import { load32, store32 } from '../layout/control-words.ts';
import { LOCK_SEGMENT, PARTICIPANT_PAGE } from '../layout/regions.ts';
import { eraOf, low32, wholeSequence } from '../layout/sequence.ts';
import type { Access, MappedRange, OwnedFd, PageKind, SegmentOs } from '../os/os.ts';
import type { SegmentAllocator, SegmentRequest } from '../segment/allocate-segment.ts';
import type { Progress } from '../segment/populator.ts';
import type { Segment, SegmentGrant } from '../segment/segment.ts';
import { LOCK_WORD, LockSegment } from './lock-segment.ts';
import { type ParticipantCounters, ParticipantPage } from './participant-page.ts';
import { releaseAll } from './release-all.ts';

/** What a mapping is created with. */
export interface BrokerMappingSpec {
  /** Never reused by this broker. */
  readonly id: bigint;
  /** For /proc/…/maps; not unique. */
  readonly label: string;
  readonly payloadBytes: number;
  /** What it may grow to, B; absent: it keeps its size. */
  readonly reserveBytes?: number | undefined;
  /** Never swapped out. */
  readonly locked?: boolean | undefined;
  /** Whose memory is preferred for the payload. */
  readonly numaNode?: number | undefined;
  /** Told while the payload is being populated. */
  readonly onProgress?: Progress | undefined;
  readonly pages: 'auto' | 'require' | 'never';
  readonly maxParticipants: number;
  /** Name of the broker's doorbell, 16 raw bytes. */
  readonly brokerBell: Uint8Array;
  /** Lays out the data segment, which is zero and mapped only while this runs. Absent for a plain mapping. */
  readonly layOut?: (data: MappedRange) => void;
  /** For a channel: the sequence before its first frame. */
  readonly head?: number;
  /** Called with what each segment will take before it is taken; throws to refuse. */
  readonly admit: SegmentRequest['admit'];
  readonly signal?: AbortSignal;
}

export interface NewParticipant {
  readonly index: number;
  readonly generation: number;
  /** Name of its session’s doorbell, 16 raw bytes. */
  readonly bell: Uint8Array;
  /** Whether a `block` publisher waits for its cursor. */
  readonly counted: boolean;
  /** Slots it may pin at once; 0 = none. */
  readonly maxPins: number;
  /** For a subscriber: how many frames before the newest it begins. */
  readonly history: number;
}

/** One descriptor to hand over; it is duplicated by sending it. */
export interface GrantedSegment {
  readonly role: 'data' | 'lock' | 'page';
  readonly fd: OwnedFd;
  /** Whether it was opened for this alone, and is to be closed when it was sent. The others stay the mapping’s. */
  readonly toClose: boolean;
  readonly access: Access;
  readonly bytes: number;
  readonly pageKind: PageKind;
  /** For pages. */
  readonly participantIndex?: number;
  readonly participantGeneration?: number;
}

/** A participant whose page is there. */
export interface MappedParticipant {
  readonly index: number;
  readonly generation: number;
  readonly page: ParticipantPage;
}

interface Participant {
  readonly generation: number;
  readonly segment: Segment;
  readonly range: MappedRange;
  readonly page: ParticipantPage;
}

export class BrokerMapping {
  readonly id: bigint;
  readonly maxParticipants: number;
  /** Not to be touched after `close`. */
  readonly lock: LockSegment;
  readonly #os: SegmentOs;
  readonly #allocator: SegmentAllocator;
  readonly #data: Segment;
  readonly #lockMemory: Segment;
  readonly #lockRange: MappedRange;
  /** The sequence before the first frame. */
  readonly #firstHead: number;
  readonly #participants = new Map<number, Participant>();
  #closed = false;

  private constructor(
    os: SegmentOs,
    allocator: SegmentAllocator,
    spec: BrokerMappingSpec,
    data: Segment,
    lock: Segment,
  ) {
    this.#firstHead = spec.head ?? 0;
    this.id = spec.id;
    this.maxParticipants = spec.maxParticipants;
    this.#os = os;
    this.#allocator = allocator;
    this.#data = data;
    this.#lockMemory = lock;
    this.#lockRange = os.map(lock.fd, lock.bytes, 'write', lock.grant.pageKind);
    this.lock = new LockSegment(this.#lockRange);
  }

  /**
   * Reserves, populates, lays out and seals. Everything is given back when it fails or `signal` aborts.
   * @throws what `admit` throws; LargePagesUnavailable; OsError (ENOMEM, ENOSPC, EMFILE).
   */
  static async create(os: SegmentOs, allocator: SegmentAllocator, spec: BrokerMappingSpec): Promise<BrokerMapping> {
    const { label, payloadBytes, pages, admit } = spec;
    const cancel = spec.signal === undefined ? {} : { signal: spec.signal };
    const { reserveBytes, locked, numaNode, onProgress } = spec;
    const data = await allocator.allocate({
      label,
      payloadBytes,
      pages,
      admit,
      reserveBytes,
      locked,
      numaNode,
      onProgress,
      ...cancel,
    });
    let lock: Segment | undefined;
    try {
      lock = await allocator.allocate({
        label: `${label}.lock`,
        payloadBytes: LOCK_SEGMENT.bytes,
        pages: 'never',
        admit,
        ...cancel,
      });
      if (spec.layOut !== undefined) {
        const range = os.map(data.fd, data.bytes, 'write', data.grant.pageKind);
        try {
          spec.layOut(range);
        } finally {
          range.release();
        }
      }
      const mapping = new BrokerMapping(os, allocator, spec, data, lock);
      mapping.#initialise(spec);
      return mapping;
    } catch (error) {
      lock?.close();
      data.close();
      throw error;
    }
  }

  #initialise(spec: BrokerMappingSpec): void {
    const head = spec.head ?? 0;
    store32(this.lock.words, LOCK_WORD.head, low32(head));
    store32(this.lock.words, LOCK_WORD.headEra, eraOf(head));
    const { id: mappingId, maxParticipants, brokerBell, payloadBytes: committedBytes } = spec;
    this.lock.initialise({ mappingId, maxParticipants, brokerBell, committedBytes });
  }

  /** What is granted for the payload now. */
  get grant(): SegmentGrant {
    return this.#data.grant;
  }
  /** What the mapping takes now: data, lock segment and pages, B. */
  get chargedBytes(): number {
    return this.#data.takenBytes + this.#lockMemory.bytes + this.#participants.size * this.#os.basePageBytes;
  }
  /** Indices in use: by participants that take part, and by those that are not yet known to be gone. */
  get participantIndices(): number[] {
    return [...this.#participants.keys()];
  }

  /**
   * Makes a page for the participant and lets it count.
   * @returns its history: what was asked, bounded by what was published when it joined. @throws OsError; nothing has happened then.
   */
  async addParticipant(joining: NewParticipant): Promise<number> {
    const segment = await this.#allocator.allocate({
      label: `leasehold.page.${joining.index}`,
      payloadBytes: PARTICIPANT_PAGE.bytes,
      pages: 'never',
      admit: () => undefined,
    });
    if (this.#closed || this.#participants.has(joining.index)) {
      segment.close();
      throw new Error(this.#closed ? 'the mapping is closed' : `participant ${joining.index} is taken`);
    }
    let range: MappedRange;
    try {
      range = this.#os.map(segment.fd, segment.bytes, 'write', segment.grant.pageKind);
    } catch (error) {
      segment.close();
      throw error;
    }
    const page = new ParticipantPage(range);
    const { index, generation, bell } = joining;
    page.initialise({ mappingId: this.id, index, generation, bell, cursor: low32(this.published) });
    this.#participants.set(index, { generation, segment, range, page });
    this.lock.setLive(index, joining);
    // IMPORTANT: again, now that publishers see it. What a `block` publisher published before it saw somebody to wait for may be
    // overwritten already, and would be missing from the beginning of the subscription.
    const newest = this.published;
    const history = Math.max(0, Math.min(joining.history, newest - this.#firstHead));
    page.moveCursor(low32(newest - history));
    return history;
  }

  /** What the data segment would take with that much payload, B. */
  mappedBytesFor(payloadBytes: number): number {
    return this.#data.pagesFor(payloadBytes);
  }

  /**
   * Makes the payload larger; attached processes see it at once. A failure leaves the old size.
   * @throws as `Segment.grow`; Error when the mapping was closed meanwhile: nothing is left of it then.
   */
  async grow(payloadBytes: number, signal?: AbortSignal): Promise<void> {
    await this.#data.grow(payloadBytes, { signal });
    if (this.#closed) throw new Error('the mapping is closed');
    this.lock.commit(payloadBytes);
  }

  /**
   * Makes the payload smaller, and gives the rest back. Nobody may look beyond the new size any more: whoever calls this has seen to it.
   * @throws as `Segment.shrink`, and what stopped it halfway; the size is then what is left.
   */
  async shrink(payloadBytes: number, confirm: () => void): Promise<void> {
    // IMPORTANT: before the first page is given back: who looks from now on, looks no further. And only then a last look at the lock:
    // whoever was let in before it may have seen the old size.
    this.lock.commit(payloadBytes);
    try {
      confirm();
      const { failure } = await this.#data.shrink(payloadBytes);
      if (failure !== null) throw failure;
    } catch (error) {
      if (!this.#closed) this.lock.commit(this.grant.payloadBytes);
      throw error;
    }
  }

  /** A `block` publisher no longer waits for this participant. Its pins still count until `removeParticipant`. */
  stopWaitingFor(index: number): void {
    this.lock.clearCounted(index);
  }

  /** The participant's process is gone, or has said that it no longer touches anything: what it held is free. */
  removeParticipant(index: number): void {
    const participant = this.#participants.get(index);
    if (participant === undefined) return;
    this.#participants.delete(index);
    this.lock.clearLive(index, participant.generation);
    releaseAll([() => participant.range.release(), () => participant.segment.close()]);
  }

  /** Whom subscribers ring; null = nobody. */
  setPublisherBell(bell: Uint8Array | null): void {
    this.lock.setPublisherBell(bell);
  }
  /** Everybody whose page is there, those included that are not yet known to be gone. */
  *participants(): Iterable<MappedParticipant> {
    for (const [index, { generation, page }] of this.#participants) yield { index, generation, page };
  }
  participant(index: number): MappedParticipant | undefined {
    const participant = this.#participants.get(index);
    return participant === undefined
      ? undefined
      : { index, generation: participant.generation, page: participant.page };
  }

  /** Attached processes find the mapping deleted at their next look. */
  markDeleted(): void {
    this.lock.markDeleted();
  }

  /**
   * The descriptors of an attachment: data, lock segment, and the participant’s own page. Readers get their own, so that none are kept
   * for readers who may never come. @throws OsError (EMFILE); nothing is open then.
   */
  segmentsFor(access: Access, index: number): GrantedSegment[] {
    const data = this.#granted('data', this.#data, access);
    try {
      return [data, this.#granted('lock', this.#lockMemory, access), ...this.pagesFor([index])];
    } catch (error) {
      if (data.toClose) data.fd.close();
      throw error;
    }
  }

  #granted(role: 'data' | 'lock', segment: Segment, access: Access): GrantedSegment {
    const toClose = access === 'read';
    const fd = toClose ? segment.openReadOnly() : segment.fd;
    return { role, fd, toClose, access, bytes: segment.bytes, pageKind: segment.grant.pageKind };
  }
  /** The pages of those of `indices` that are in use, for a write attachment or their owner. */
  pagesFor(indices: readonly number[]): GrantedSegment[] {
    return indices.flatMap((index) => {
      const participant = this.#participants.get(index);
      if (participant === undefined) return [];
      return [
        {
          role: 'page' as const,
          fd: participant.segment.fd,
          toClose: false,
          access: 'write' as const,
          bytes: participant.segment.bytes,
          pageKind: participant.segment.grant.pageKind,
          participantIndex: index,
          participantGeneration: participant.generation,
        },
      ];
    });
  }

  /** Sequence of the newest frame of a channel, as its publishers say. */
  get published(): number {
    const words = this.lock.words;
    const era = load32(words, LOCK_WORD.headEra);
    const sequence = wholeSequence(load32(words, LOCK_WORD.head), era >>> 0);
    return Number.isSafeInteger(sequence) && sequence >= 0 ? sequence : 0;
  }
  /** How many of the sequences are ends of streams, as publishers say. */
  get endMarks(): number {
    return load32(this.lock.words, LOCK_WORD.endMarks) >>> 0;
  }
  /** Whether the newest sequence is the end of a stream, as publishers say. */
  get finished(): boolean {
    return this.lock.finished;
  }
  counters(index: number): ParticipantCounters | null {
    return this.#participants.get(index)?.page.counters() ?? null;
  }

  /** Gives back what the broker holds. Attached processes keep what they have mapped. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const participants = [...this.#participants.values()];
    this.#participants.clear();
    releaseAll([
      ...participants.flatMap(({ range, segment }) => [() => range.release(), () => segment.close()]),
      () => this.#lockRange.release(),
      () => this.#lockMemory.close(),
      // Not before what it is being resized by is over.
      () => this.#data.close(),
    ]);
  }
}
