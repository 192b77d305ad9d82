/** The memory of a channel case: ring, descriptors, lock segment, a page for each seat; and what the final state must say of the frames. */

import type { ChannelMemory } from '../../../src/channel/channel-memory.ts';
import type { ChannelGeometry } from '../../../src/channel/geometry.ts';
import { store32 } from '../../../src/layout/control-words.ts';
import { FRAME_DESCRIPTOR, LOCK_SEGMENT, PARTICIPANT_PAGE } from '../../../src/layout/regions.ts';
import { eraOf, low32 } from '../../../src/layout/sequence.ts';
import { LOCK_WORD, type LockSegment } from '../../../src/mapping/lock-segment.ts';
import type { ClaimedPage, ParticipantPages } from '../../../src/mapping/participant-pages.ts';
import type { CodeUnderTest } from '../../code-under-test.ts';
import { controlWordsOf, type NamedWord, type Segment, type WordRef } from '../../engine/address-space.ts';
import { ScratchRange } from '../../engine/scratch.ts';
import type { World } from '../../engine/world.ts';

export interface ChannelSeat {
  readonly name: string;
  readonly index: number;
  /** Frames that it may hold; 0: it publishes. */
  readonly pins: number;
  /** It takes part only when the broker lets it in. */
  readonly joins: boolean;
}

export interface ChannelPlan {
  readonly slots: number;
  readonly block: boolean;
  /** The newest sequence of the channel as it is laid out. */
  readonly head: number;
  /** Frames that are there before anybody starts: the k-th of the channel has the value 100 + k. */
  readonly published: number;
  readonly seats: readonly ChannelSeat[];
}

const MAPPING_ID = 7n;
const BELL = new Uint8Array(16).fill(9);
export const GENERATION = 1;
export const headWord: WordRef = { segment: 'lock', word: 'head' };
export const pinsOf = ({ name, pins }: ChannelSeat): WordRef[] =>
  Array.from({ length: pins }, (_, pin) => ({ segment: `page.${name}`, word: `pins[${pin}]` }));
export const bellOf = (name: string): string => `bell.${name}`;
/** Set when the subscriber takes part. */
export const joinedOf = (name: string): string => `joined.${name}`;
/** What W holds while that publisher has the lease. */
export const leaseOf = (publisher: number): { holdId: bigint; fencingToken: bigint } => {
  return { holdId: (BigInt(publisher + 1) << 56n) | 1n, fencingToken: BigInt(publisher + 1) };
};

export const geometryOf = (code: CodeUnderTest, { slots, block }: ChannelPlan): ChannelGeometry =>
  code.channelGeometry({ slots, slotBytes: 64, block, maxLoans: 1 });

/** As the broker lets a participant in. */
export function letIn(lock: LockSegment, { index, pins }: ChannelSeat, { block }: ChannelPlan): void {
  lock.setLive(index, { generation: GENERATION, maxPins: pins, counted: pins > 0 && block });
}

/** Each half of a 64-bit field by itself, as the code under test touches it. */
const DESCRIPTOR_CONTROL = ['state', 'flags', 'sequence', 'fencingToken'] as const;

function dataControlWords(geometry: ChannelGeometry): NamedWord[] {
  const ring = Array.from({ length: geometry.ringEntries }, (_, entry): NamedWord => {
    return { name: `ring[${entry}]`, offset: geometry.ringOffset + 4 * entry, bytes: 4 };
  });
  const descriptors = Array.from({ length: geometry.slots }, (_, slot) =>
    FRAME_DESCRIPTOR.fields
      .filter(({ name }) => DESCRIPTOR_CONTROL.some((control) => control === name))
      .flatMap(({ name, type, offset }): NamedWord[] => {
        const at = geometry.descriptorsOffset + slot * FRAME_DESCRIPTOR.bytes + offset;
        if (type === 'u32') return [{ name: `slot${slot}.${name}`, offset: at, bytes: 4 }];
        return [
          { name: `slot${slot}.${name}.low`, offset: at, bytes: 4 },
          { name: `slot${slot}.${name}.high`, offset: at + 4, bytes: 4 },
        ];
      }),
  );
  return [...ring, ...descriptors.flat()];
}

export function channelSegments(code: CodeUnderTest, plan: ChannelPlan): Segment[] {
  const geometry = geometryOf(code, plan);
  const data = new ArrayBuffer(geometry.slotsOffset);
  code.initialiseChannel(new ScratchRange(data), geometry, MAPPING_ID, plan.head);
  const lockMemory = new ArrayBuffer(LOCK_SEGMENT.bytes);
  const lock = new code.LockSegment(new ScratchRange(lockMemory));
  lock.initialise({ mappingId: MAPPING_ID, maxParticipants: 8, brokerBell: BELL, committedBytes: 4096 });
  lock.storeHolder(leaseOf(0).holdId);
  store32(lock.words, LOCK_WORD.head, low32(plan.head));
  store32(lock.words, LOCK_WORD.headEra, eraOf(plan.head));
  publishFirst(code, plan, new code.ChannelMemory(new ScratchRange(data), lock, geometry));
  const pages = plan.seats.map((seat): Segment => {
    const { name, index } = seat;
    const initial = new ArrayBuffer(PARTICIPANT_PAGE.bytes);
    const page = new code.ParticipantPage(new ScratchRange(initial));
    page.initialise({ mappingId: MAPPING_ID, index, generation: GENERATION, bell: BELL, cursor: low32(plan.head) });
    if (!seat.joins) letIn(lock, seat, plan);
    return { name: `page.${name}`, initial, controlWords: controlWordsOf(PARTICIPANT_PAGE) };
  });
  return [
    { name: 'data', initial: data, controlWords: dataControlWords(geometry) },
    { name: 'lock', initial: lockMemory, controlWords: controlWordsOf(LOCK_SEGMENT) },
    ...pages,
  ];
}

/** By a publisher that nobody competes with. The k-th frame comes to be in slot k − 1. */
function publishFirst(code: CodeUnderTest, { published, slots }: ChannelPlan, memory: ChannelMemory): void {
  if (published > slots) throw new Error(`${published} frames do not fit into ${slots} slots`);
  const nobody = new code.ParticipantPages(memory.lock, 0, () => []);
  const publisher = new code.ChannelPublisher(memory, nobody, { index: 0, generation: GENERATION }, () => 1);
  publisher.takeOver(leaseOf(0));
  for (let frame = 1; frame <= published; frame += 1) publisher.publish(publisher.loan(), 8);
}

export function openChannel(code: CodeUnderTest, world: World, plan: ChannelPlan): ChannelMemory {
  const lock = new code.LockSegment(world.range('lock'));
  return new code.ChannelMemory(world.range('data'), lock, geometryOf(code, plan));
}

/** The pages of all others; ringing one is a step. */
export function openChannelPages(
  code: CodeUnderTest,
  world: World,
  { lock }: ChannelMemory,
  own: ChannelSeat,
  { seats }: ChannelPlan,
): ParticipantPages {
  return new code.ParticipantPages(lock, own.index, (indices) =>
    seats
      .filter(({ index }) => indices.includes(index))
      .map(({ name, index }): ClaimedPage => {
        const page = new code.ParticipantPage(world.range(`page.${name}`));
        return {
          index,
          generation: GENERATION,
          page,
          ring: () => world.store(bellOf(name), 1),
          release: () => undefined,
        };
      }),
  );
}
