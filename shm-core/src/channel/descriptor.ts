/**
 * What a frame says of itself: written by the publisher while the slot is its own, copied out by a subscriber while it is pinned.
 * Everything read here is hostile: copied once, then checked.
 */
import { loadStable32, storeAhead32 } from '../layout/control-words.ts';
import { FRAME_DESCRIPTOR, METADATA_BYTES_SHIFT, USER_METADATA_BYTES } from '../layout/regions.ts';
import { high32, low32 } from '../layout/sequence.ts';
import type { ChannelMemory } from './channel-memory.ts';

const { word, at, bytes: DESCRIPTOR_BYTES } = FRAME_DESCRIPTOR;
const DESCRIPTOR_WORDS = DESCRIPTOR_BYTES / 4;
const WRAP = 2 ** 32;

/** What a publisher says of a frame beside its payload. 0 and null: as the channel's format says. Always of this shape: it is read for every frame. */
export interface FrameFields {
  /** When the picture was taken, ns of CLOCK_MONOTONIC. */
  readonly capturedNs: number;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  /** B from one row to the next. */
  readonly strideBytes: number;
  /** DRM FourCC as a number, first character in the low byte. */
  readonly fourcc: number;
  /** The user's own, at most 128 B. */
  readonly metadata: Uint8Array | null;
}

/** Nothing is said of the frame. */
export const NO_FIELDS: FrameFields = {
  capturedNs: 0,
  width: 0,
  height: 0,
  strideBytes: 0,
  fourcc: 0,
  metadata: null,
};

/** What the publisher says of each frame that it publishes. */
export interface FrameStamp {
  readonly payloadBytes: number;
  readonly flags: number;
  readonly tokenLow: number;
  readonly tokenHigh: number;
  /** ns of CLOCK_MONOTONIC. */
  readonly publishedNs: number;
}

/** A frame's descriptor, copied; its sequence and its length are known since it was taken. */
export interface DescriptorCopy {
  readonly fencingToken: bigint;
  /** ns of CLOCK_MONOTONIC. */
  readonly publishedNs: bigint;
  /** ns of CLOCK_MONOTONIC; null when not stated. */
  readonly capturedNs: bigint | null;
  /** 0 = as the channel's format says, here and below. */
  readonly width: number;
  readonly height: number;
  readonly strideBytes: number;
  readonly fourcc: number;
  readonly metadata: Uint8Array;
}

/**
 * All of the descriptor but state and sequence: the slot is the caller's, and what it is published with, the ring's CAS, comes after.
 * IMPORTANT: that is why plain stores do. Who reads these words has seen the ring entry, or the state that was stored after them.
 */
export function writeDescriptor(memory: ChannelMemory, slot: number, frame: FrameStamp, fields: FrameFields): void {
  const words = memory.descriptors;
  const base = slot * DESCRIPTOR_WORDS;
  storeAhead32(words, base + word.fencingToken, frame.tokenLow);
  storeAhead32(words, base + word.fencingToken + 1, frame.tokenHigh);
  writePublishedNs(memory, slot, frame.publishedNs);
  const data = memory.descriptorData;
  data[base + word.payloadBytes] = low32(frame.payloadBytes);
  data[base + word.payloadBytes + 1] = high32(frame.payloadBytes);
  const { metadata, capturedNs } = fields;
  storeAhead32(
    words,
    base + word.flags,
    frame.flags | ((metadata === null ? 0 : metadata.length) << METADATA_BYTES_SHIFT),
  );
  data[base + word.capturedNs] = low32(capturedNs);
  data[base + word.capturedNs + 1] = high32(capturedNs);
  data[base + word.width] = fields.width;
  data[base + word.height] = fields.height;
  data[base + word.strideBytes] = fields.strideBytes;
  data[base + word.fourcc] = fields.fourcc;
  if (metadata !== null) memory.descriptorBytes.set(metadata, slot * DESCRIPTOR_BYTES + at.metadata);
}

/** For a descriptor that says all else already. */
export function writePublishedNs(memory: ChannelMemory, slot: number, publishedNs: number): void {
  const index = slot * DESCRIPTOR_WORDS + word.publishedNs;
  const data = memory.descriptorData;
  data[index] = low32(publishedNs);
  data[index + 1] = high32(publishedNs);
}

export function writeSequence(memory: ChannelMemory, slot: number, sequence: number): void {
  const index = slot * DESCRIPTOR_WORDS + word.sequence;
  storeAhead32(memory.descriptors, index, low32(sequence));
  storeAhead32(memory.descriptors, index + 1, high32(sequence));
}

/** Whether the descriptor's whole sequence is `sequence`. */
export function hasSequence(memory: ChannelMemory, slot: number, sequence: number): boolean {
  const index = slot * DESCRIPTOR_WORDS + word.sequence;
  const words = memory.descriptors;
  return loadStable32(words, index) === low32(sequence) && loadStable32(words, index + 1) === high32(sequence);
}

/** The low half of the sequence of the frame that was described last; 0: there was none. */
export const descriptorSequenceLow = (memory: ChannelMemory, slot: number): number =>
  loadStable32(memory.descriptors, slot * DESCRIPTOR_WORDS + word.sequence);
export const descriptorFlags = (memory: ChannelMemory, slot: number): number =>
  loadStable32(memory.descriptors, slot * DESCRIPTOR_WORDS + word.flags);
export const descriptorTokenLow = (memory: ChannelMemory, slot: number): number =>
  loadStable32(memory.descriptors, slot * DESCRIPTOR_WORDS + word.fencingToken);
export const descriptorTokenHigh = (memory: ChannelMemory, slot: number): number =>
  loadStable32(memory.descriptors, slot * DESCRIPTOR_WORDS + word.fencingToken + 1);

/** ns of CLOCK_MONOTONIC. */
export const descriptorPublishedNs = (memory: ChannelMemory, slot: number): number =>
  wideNumber(memory.descriptorData, slot * DESCRIPTOR_WORDS + word.publishedNs);

/** Payload length, B, no more than the slot holds, whatever the descriptor says. */
export function descriptorPayloadBytes(memory: ChannelMemory, slot: number): number {
  const at = slot * DESCRIPTOR_WORDS + word.payloadBytes;
  const { slotBytes } = memory.geometry;
  const low = memory.descriptorData[at] as number;
  const isSmall = memory.descriptorData[at + 1] === 0 && low >= 0 && low <= slotBytes;
  return isSmall ? low : Math.min(wideNumber(memory.descriptorData, at), slotBytes);
}

const wideNumber = (data: Int32Array, index: number): number =>
  ((data[index + 1] as number) >>> 0) * WRAP + ((data[index] as number) >>> 0);

function descriptorToken(memory: ChannelMemory, slot: number): bigint {
  const high = BigInt(descriptorTokenHigh(memory, slot) >>> 0);
  return (high << 32n) | BigInt(descriptorTokenLow(memory, slot) >>> 0);
}

/** Everything that was not read when the frame was taken, copied. */
export function readDescriptor(memory: ChannelMemory, slot: number): DescriptorCopy {
  const start = slot * DESCRIPTOR_BYTES;
  const copy = memory.descriptorBytes.slice(start, start + DESCRIPTOR_BYTES);
  const wide = new BigUint64Array(copy.buffer);
  const words = new Uint32Array(copy.buffer);
  const big = (offset: number): bigint => wide[offset / 8] ?? 0n;
  const small = (index: number): number => words[index] ?? 0;
  const captured = big(at.capturedNs);
  const metadataBytes = Math.min((small(word.flags) >>> METADATA_BYTES_SHIFT) & 0xff, USER_METADATA_BYTES);
  return {
    fencingToken: descriptorToken(memory, slot),
    publishedNs: big(at.publishedNs),
    capturedNs: captured === 0n ? null : captured,
    width: small(word.width),
    height: small(word.height),
    strideBytes: small(word.strideBytes),
    fourcc: small(word.fourcc),
    metadata: copy.subarray(at.metadata, at.metadata + metadataBytes),
  };
}
