/**
 * Memory of mappings that outlives the broker that made it, as if the next one found the same words again: real lock words and real
 * participant pages. A broker that is over and touches them all the same fails.
 */
import {
  type BrokerMappingSpec,
  LockSegment,
  type MappedRange,
  type NewParticipant,
  ParticipantPage,
  type SegmentGrant,
} from '@leasehold/shm-core/internal';
import type { MappingMemory, MemorySource } from '../ports.ts';

const PAGE_BYTES = 4096;

/** A page of zeroed memory, as far as control words go. */
const zeroedPage = (): MappedRange =>
  ({ words32: () => new Uint32Array(PAGE_BYTES / 4) }) satisfies Pick<MappedRange, 'words32'> as unknown as MappedRange;

export interface SurvivingPage {
  readonly index: number;
  readonly generation: number;
  readonly page: ParticipantPage;
}

/** The words of one mapping. */
export class SurvivingWords {
  readonly lock = new LockSegment(zeroedPage());
  readonly pages = new Map<number, SurvivingPage>();
  /** The highest generation that any index has had. */
  newestGeneration = 0;

  add(joining: NewParticipant): void {
    const { index, generation } = joining;
    if (this.pages.has(index)) throw new Error(`participant ${index} is taken`);
    this.newestGeneration = Math.max(this.newestGeneration, generation);
    this.pages.set(index, { index, generation, page: new ParticipantPage(zeroedPage()) });
    this.lock.setLive(index, joining);
  }
  remove(index: number): void {
    const page = this.pages.get(index);
    if (page === undefined) return;
    this.pages.delete(index);
    this.lock.clearLive(index, page.generation);
  }
}

class SurvivingMapping implements MappingMemory {
  readonly #words: SurvivingWords;
  readonly #whenJoining: () => Promise<void>;
  readonly grant: SegmentGrant;
  readonly published = 0;
  readonly endMarks = 0;
  readonly finished = false;
  #closed = false;

  constructor({ payloadBytes }: BrokerMappingSpec, words: SurvivingWords, whenJoining: () => Promise<void>) {
    const mappedBytes = Math.ceil(payloadBytes / PAGE_BYTES) * PAGE_BYTES;
    const asked = { fallbackReason: null, stepDowns: [], locked: false, numa: null };
    const pages = { pageKind: 'base', pageBytes: PAGE_BYTES } as const;
    this.grant = { payloadBytes, mappedBytes, reservedBytes: mappedBytes, ...pages, ...asked };
    this.#words = words;
    this.#whenJoining = whenJoining;
  }

  #open(): SurvivingWords {
    if (this.#closed) throw new Error('memory of a mapping was touched after it was given back');
    return this.#words;
  }
  get lock(): LockSegment {
    return this.#open().lock;
  }
  get chargedBytes(): number {
    return this.grant.mappedBytes + (1 + this.#open().pages.size) * PAGE_BYTES;
  }
  mappedBytesFor(payloadBytes: number): number {
    return Math.ceil(payloadBytes / PAGE_BYTES) * PAGE_BYTES;
  }
  async grow(): Promise<void> {
    throw new Error('these mappings keep their size');
  }
  async shrink(): Promise<void> {
    throw new Error('these mappings keep their size');
  }
  async addParticipant(joining: NewParticipant): Promise<number> {
    await this.#whenJoining();
    this.#open().add(joining);
    return 0;
  }
  removeParticipant(index: number): void {
    this.#open().remove(index);
  }
  participant(index: number): SurvivingPage | undefined {
    return this.#open().pages.get(index);
  }
  participants(): Iterable<SurvivingPage> {
    return this.#open().pages.values();
  }
  markDeleted(): void {
    this.#open().lock.markDeleted();
  }
  stopWaitingFor(index: number): void {
    this.#open().lock.clearCounted(index);
  }
  setPublisherBell(bell: Uint8Array | null): void {
    this.#open().lock.setPublisherBell(bell);
  }
  counters() {
    return null;
  }
  segmentsFor() {
    return [];
  }
  pagesFor() {
    return [];
  }
  close(): void {
    this.#closed = true;
  }
}

/** Gives a mapping the words that are ready for it, or new ones. */
export class SurvivingMemory implements MemorySource {
  readonly basePageBytes = PAGE_BYTES;
  /** Words that the next mappings find, in the order of their creation. */
  readonly found: SurvivingWords[] = [];
  latest = new SurvivingWords();
  /** Makes joins wait until it resolves. */
  joining: Promise<void> = Promise.resolve();

  async create(spec: BrokerMappingSpec): Promise<MappingMemory> {
    this.latest = this.found.shift() ?? new SurvivingWords();
    return new SurvivingMapping(spec, this.latest, () => this.joining);
  }
  readonly unpopulatedBytes = 0;
  readonly promisedBytes = 0;
  headroom() {
    return { availableBytes: 2 ** 40, detail: 'plenty' };
  }
}
