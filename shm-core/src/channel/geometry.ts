/**
 * Where everything is in a channel's data segment: header, ring, descriptors, slots. Computed once by the broker, written into
 * the header, and read back (copied, then checked) by whoever attaches.
 */
import { controlWords, load32, store32 } from '../layout/control-words.ts';
import { ABI_VERSION, CHANNEL_HEADER, FRAME_DESCRIPTOR, MAGIC, MAX_SLOTS } from '../layout/regions.ts';
import { CorruptMemoryError } from '../mapping/corrupt-memory.ts';
import type { MappedRange } from '../os/os.ts';
import { lapOf, NO_SLOT, previousLap, ringWord } from './words.ts';

export interface ChannelGeometry {
  /** N. */
  readonly slots: number;
  /** R, a power of two, at least N. */
  readonly ringEntries: number;
  /** Payload capacity of a slot, B. */
  readonly slotBytes: number;
  /** From one slot to the next, B. */
  readonly slotStrideBytes: number;
  readonly ringOffset: number;
  readonly descriptorsOffset: number;
  readonly slotsOffset: number;
  /** The whole data segment before rounding up to pages, B. */
  readonly totalBytes: number;
  readonly maxLoans: number;
  /** Whether the publisher waits for subscribers in queue mode. */
  readonly block: boolean;
}

/** Slots at least this large start on a base page, smaller ones on a cache line. */
const PAGE_BYTES = 4096;
const LINE_BYTES = 64;

const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple;

/** @throws RangeError when a number is out of its range or the sum is beyond what can be addressed. */
export function channelGeometry(spec: {
  slots: number;
  slotBytes: number;
  maxLoans: number;
  block: boolean;
}): ChannelGeometry {
  const { slots, slotBytes, maxLoans, block } = spec;
  if (!Number.isInteger(slots) || slots < 3 || slots > MAX_SLOTS) {
    throw new RangeError(`slots must be 3 to ${MAX_SLOTS}, not ${slots}`);
  }
  if (!Number.isSafeInteger(slotBytes) || slotBytes < 1)
    throw new RangeError(`slotBytes must be positive, not ${slotBytes}`);
  if (!Number.isInteger(maxLoans) || maxLoans < 1 || maxLoans > slots - 2) {
    throw new RangeError(`maxLoans must be 1 to slots − 2 (${slots - 2}), not ${maxLoans}`);
  }
  const alignment = slotBytes >= PAGE_BYTES ? PAGE_BYTES : LINE_BYTES;
  const ringEntries = 2 ** Math.ceil(Math.log2(slots));
  const slotStrideBytes = roundUp(slotBytes, alignment);
  const ringOffset = CHANNEL_HEADER.bytes;
  const descriptorsOffset = roundUp(ringOffset + ringEntries * 4, 128);
  const slotsOffset = roundUp(descriptorsOffset + slots * FRAME_DESCRIPTOR.bytes, alignment);
  const totalBytes = slotsOffset + slots * slotStrideBytes;
  if (!Number.isSafeInteger(totalBytes))
    throw new RangeError(`${slots} slots of ${slotBytes} B are more than can be addressed`);
  return {
    slots,
    ringEntries,
    slotBytes,
    slotStrideBytes,
    ringOffset,
    descriptorsOffset,
    slotsOffset,
    totalBytes,
    maxLoans,
    block,
  };
}

/** Broker, once, on zeroed memory: ring entries that do not look published, then the header, its magic last. */
export function initialiseChannel(
  range: MappedRange,
  geometry: ChannelGeometry,
  mappingId: bigint,
  head: number,
): void {
  const ring = controlWords(range.words32(geometry.ringOffset, geometry.ringEntries));
  for (let distance = 1; distance <= geometry.ringEntries; distance += 1) {
    const sequence = head + distance;
    const lap = previousLap(lapOf(sequence, geometry.ringEntries));
    store32(ring, sequence % geometry.ringEntries, ringWord(lap, NO_SLOT));
  }
  const words = range.words32(0, CHANNEL_HEADER.bytes / 4);
  const wide = new BigUint64Array(words.buffer, words.byteOffset, CHANNEL_HEADER.bytes / 8);
  const { at, word } = CHANNEL_HEADER;
  words[word.abiVersion] = ABI_VERSION;
  wide[at.mappingId / 8] = mappingId;
  words[word.slots] = geometry.slots;
  words[word.ringEntries] = geometry.ringEntries;
  words[word.block] = geometry.block ? 1 : 0;
  words[word.maxLoans] = geometry.maxLoans;
  wide[at.slotBytes / 8] = BigInt(geometry.slotBytes);
  wide[at.slotStrideBytes / 8] = BigInt(geometry.slotStrideBytes);
  wide[at.ringOffset / 8] = BigInt(geometry.ringOffset);
  wide[at.descriptorsOffset / 8] = BigInt(geometry.descriptorsOffset);
  wide[at.slotsOffset / 8] = BigInt(geometry.slotsOffset);
  store32(controlWords(words), word.magic, MAGIC.channel);
}

/**
 * What the header says, after checking that it is what `channelGeometry` gives for its numbers and that it fits `range`.
 * @throws CorruptMemoryError otherwise.
 */
export function readGeometry(range: MappedRange, mappingId: bigint): ChannelGeometry {
  const words = range.words32(0, CHANNEL_HEADER.bytes / 4);
  const { at, word } = CHANNEL_HEADER;
  if (load32(controlWords(words), word.magic) !== MAGIC.channel)
    throw new CorruptMemoryError('channel header: no magic');
  const copy = words.slice();
  const wide = new BigUint64Array(copy.buffer);
  const version = copy[word.abiVersion];
  if (version !== ABI_VERSION) {
    throw new CorruptMemoryError(`channel header: ABI version ${version}, this build understands ${ABI_VERSION}`);
  }
  if (wide[at.mappingId / 8] !== mappingId) throw new CorruptMemoryError('channel header: of another mapping');
  const expected = checked({
    slots: copy[word.slots] ?? 0,
    slotBytes: Number(wide[at.slotBytes / 8]),
    maxLoans: copy[word.maxLoans] ?? 0,
    block: copy[word.block] === 1,
  });
  const fits =
    copy[word.ringEntries] === expected.ringEntries &&
    Number(wide[at.slotStrideBytes / 8]) === expected.slotStrideBytes &&
    Number(wide[at.ringOffset / 8]) === expected.ringOffset &&
    Number(wide[at.descriptorsOffset / 8]) === expected.descriptorsOffset &&
    Number(wide[at.slotsOffset / 8]) === expected.slotsOffset &&
    expected.totalBytes <= range.mappedBytes;
  if (!fits) throw new CorruptMemoryError('channel header: offsets that do not belong to its sizes');
  return expected;
}

function checked(spec: Parameters<typeof channelGeometry>[0]): ChannelGeometry {
  try {
    return channelGeometry(spec);
  } catch (cause) {
    throw new CorruptMemoryError(`channel header: ${(cause as Error).message}`, { cause });
  }
}
