/** A whole channel in one process, on the in-memory backend, for tests: broker's side, publishers and subscribers. */
import { BrokerMapping } from '../../mapping/broker-mapping.ts';
import { LockSegment } from '../../mapping/lock-segment.ts';
import { ParticipantPage } from '../../mapping/participant-page.ts';
import { type ClaimedPage, ParticipantPages } from '../../mapping/participant-pages.ts';
import { createInMemorySegmentOs } from '../../os/in-memory/segments.ts';
import { SegmentAllocator } from '../../segment/allocate-segment.ts';
import { ChannelMemory } from '../channel-memory.ts';
import { channelGeometry, initialiseChannel, readGeometry } from '../geometry.ts';
import { ChannelPublisher, type PublisherLease } from '../publisher.ts';
import { ChannelSubscriber, type SubscribeMode } from '../subscriber.ts';

const MAPPING_ID = 7n;

export class InMemoryChannel {
  readonly memory: ChannelMemory;
  readonly broker: BrokerMapping;
  readonly #os: ReturnType<typeof createInMemorySegmentOs>;
  #generation = 0;
  #holds = 0n;
  /** Participants rung since they were last asked, by index; -1 is the publisher. */
  readonly rung: number[] = [];

  private constructor(os: ReturnType<typeof createInMemorySegmentOs>, broker: BrokerMapping) {
    this.#os = os;
    this.broker = broker;
    const [data, lock] = broker.segmentsFor('write', -1);
    if (data === undefined || lock === undefined) throw new Error('no segments');
    const dataRange = os.map(data.fd, data.bytes, 'write', data.pageKind);
    const lockSegment = new LockSegment(os.map(lock.fd, lock.bytes, 'write', lock.pageKind));
    lockSegment.validate(MAPPING_ID);
    this.memory = new ChannelMemory(dataRange, lockSegment, readGeometry(dataRange, MAPPING_ID));
  }

  static async create(
    options: { slots?: number; slotBytes?: number; block?: boolean; maxLoans?: number; head?: number } = {},
  ) {
    const os = createInMemorySegmentOs();
    const { slots = 4, slotBytes = 64, block = false, maxLoans = 1, head = 0 } = options;
    const geometry = channelGeometry({ slots, slotBytes, block, maxLoans });
    const broker = await BrokerMapping.create(os, new SegmentAllocator(os), {
      id: MAPPING_ID,
      label: 'test',
      payloadBytes: geometry.totalBytes,
      pages: 'never',
      maxParticipants: 64,
      brokerBell: new Uint8Array(16).fill(0xbb),
      head,
      layOut: (range) => initialiseChannel(range, geometry, MAPPING_ID, head),
      admit: () => undefined,
    });
    return new InMemoryChannel(os, broker);
  }

  #page(index: number): ParticipantPage {
    const [granted] = this.broker.pagesFor([index]);
    if (granted === undefined) throw new Error(`no page ${index}`);
    return new ParticipantPage(this.#os.map(granted.fd, granted.bytes, 'write', granted.pageKind));
  }

  readonly claim = (indices: readonly number[]): ClaimedPage[] =>
    this.broker.pagesFor(indices).map(({ participantIndex = -1, participantGeneration = -1 }) => ({
      index: participantIndex,
      generation: participantGeneration,
      page: this.#page(participantIndex),
      ring: () => void this.rung.push(participantIndex),
      release: () => undefined,
    }));

  async #join(index: number, joining: { counted: boolean; history: number; maxPins: number }): Promise<number> {
    this.#generation += 1;
    await this.broker.addParticipant({
      index,
      generation: this.#generation,
      bell: new Uint8Array(16).fill(index + 1),
      ...joining,
    });
    return this.#generation;
  }

  /** A publisher that holds the lease; its predecessor, if any, runs on without. */
  async publisher(index: number): Promise<ChannelPublisher> {
    const generation = await this.#join(index, { counted: false, history: 0, maxPins: 0 });
    const pages = new ParticipantPages(this.memory.lock, index, this.claim);
    const publisher = new ChannelPublisher(this.memory, pages, { index, generation }, () => 1);
    this.promote(publisher);
    return publisher;
  }
  promote(publisher: ChannelPublisher): void {
    this.#holds += 1n;
    this.grant(publisher, { holdId: this.#holds, fencingToken: this.#holds }, new Uint8Array(16).fill(255));
  }

  /** Gives the lease away, whoever has it. */
  grant(publisher: ChannelPublisher, lease: PublisherLease, bell: Uint8Array): void {
    const { lock } = this.broker;
    lock.storeHolder(lease.holdId);
    lock.casFencingToken(lock.fencingToken, lease.fencingToken);
    this.broker.setPublisherBell(bell);
    publisher.takeOver(lease);
  }
  /** Nobody has the lease. */
  revoke(): void {
    this.broker.lock.storeHolder(0n);
    this.broker.setPublisherBell(null);
  }

  async subscriber(index: number, mode: SubscribeMode = 'queue', history = 0): Promise<ChannelSubscriber> {
    return (await this.admit(index, mode, history))();
  }
  /** Joined, as far as the broker is concerned; what is returned is the subscriber's first look. */
  async admit(index: number, mode: SubscribeMode = 'queue', history = 0): Promise<() => ChannelSubscriber> {
    const counted = mode === 'queue' && this.memory.geometry.block;
    const maxPins = this.memory.geometry.slots;
    await this.#join(index, { counted, history, maxPins });
    const ringPublisher = (): void => void this.rung.push(-1);
    return () => new ChannelSubscriber(this.memory, this.#page(index), { mode, history, maxPins, ringPublisher });
  }

  /** A byte of the descriptor’s reserved room is what tests write and compare. */
  fill(slot: number, value: number): void {
    this.memory.descriptorBytes[slot * 256 + 250] = value;
  }
  read(slot: number): number {
    return this.memory.descriptorBytes[slot * 256 + 250] ?? -1;
  }

  /** Takes and releases one frame: its value, or the outcome. */
  takeOne(subscriber: ChannelSubscriber): number {
    const slot = subscriber.take();
    if (slot < 0) return slot;
    const value = this.read(slot);
    subscriber.release(slot);
    return value;
  }

  /** Publishes one frame that says `value`. */
  publish(publisher: ChannelPublisher, value: number): number | null {
    const slot = publisher.loan();
    if (slot < 0) throw new Error(`loan refused: ${slot}`);
    this.fill(slot, value);
    return publisher.publish(slot, 1);
  }
}
