/**
 * What a frame says of itself: written by the publisher while the slot is its own, copied out by a subscriber while it is pinned.
 * Everything read here is hostile: copied once, then checked.
 */
import { load32, store32 } from '../layout/control-words.ts';
import { FRAME_DESCRIPTOR, USER_METADATA_BYTES } from '../layout/regions.ts';
import type { ChannelMemory } from './channel-memory.ts';

const { word, at, bytes: DESCRIPTOR_BYTES } = FRAME_DESCRIPTOR;
const DESCRIPTOR_WORDS = DESCRIPTOR_BYTES / 4;
const WRAP = 2 ** 32;

/** What a publisher may say of a frame. What is left out is as the channel's format says. */
export interface FrameFields {
  /** When the picture was taken, ns of CLOCK_MONOTONIC. */
  readonly capturedNs?: number;
  /** Pixels. */
  readonly width?: number;
  readonly height?: number;
  /** B from one row to the next. */
  readonly strideBytes?: number;
  /** DRM FourCC as a number, first character in the low byte. */
  readonly fourcc?: number;
  /** The user's own, at most 128 B. */
  readonly metadata?: Uint8Array;
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

function storeWide(words: Int32Array, index: number, value: number): void {
  words[index] = (value % WRAP) | 0;
  words[index + 1] = (value / WRAP) | 0;
}

/** Everything but state and sequence. The slot is the caller's. */
export function writeDescriptor(
  memory: ChannelMemory,
  slot: number,
  frame: { payloadBytes: number; flags: number; tokenLow: number; tokenHigh: number; publishedNs: number },
  fields: FrameFields,
): void {
  const control = memory.descriptors;
  const words = memory.descriptorData;
  const base = slot * DESCRIPTOR_WORDS;
  store32(control, base + word.flags, frame.flags);
  storeWide(words, base + word.payloadBytes, frame.payloadBytes);
  store32(control, base + word.fencingToken, frame.tokenLow);
  store32(control, base + word.fencingToken + 1, frame.tokenHigh);
  storeWide(words, base + word.publishedNs, frame.publishedNs);
  storeWide(words, base + word.capturedNs, fields.capturedNs ?? 0);
  words[base + word.width] = fields.width ?? 0;
  words[base + word.height] = fields.height ?? 0;
  words[base + word.strideBytes] = fields.strideBytes ?? 0;
  words[base + word.fourcc] = fields.fourcc ?? 0;
  const metadata = fields.metadata;
  words[base + word.metadataBytes] = metadata?.length ?? 0;
  if (metadata !== undefined) memory.descriptorBytes.set(metadata, slot * DESCRIPTOR_BYTES + at.metadata);
}

export function writeSequence(memory: ChannelMemory, slot: number, sequence: number): void {
  const at = slot * DESCRIPTOR_WORDS + word.sequence;
  store32(memory.descriptors, at, (sequence % WRAP) | 0);
  store32(memory.descriptors, at + 1, (sequence / WRAP) | 0);
}

/** Whether the descriptor's whole sequence is `sequence`. */
export function hasSequence(memory: ChannelMemory, slot: number, sequence: number): boolean {
  const base = slot * DESCRIPTOR_WORDS + word.sequence;
  const words = memory.descriptors;
  return load32(words, base) === ((sequence % WRAP) | 0) && load32(words, base + 1) === ((sequence / WRAP) | 0);
}

export const descriptorFlags = (memory: ChannelMemory, slot: number): number =>
  load32(memory.descriptors, slot * DESCRIPTOR_WORDS + word.flags);
export const descriptorTokenLow = (memory: ChannelMemory, slot: number): number =>
  load32(memory.descriptors, slot * DESCRIPTOR_WORDS + word.fencingToken);
export const descriptorTokenHigh = (memory: ChannelMemory, slot: number): number =>
  load32(memory.descriptors, slot * DESCRIPTOR_WORDS + word.fencingToken + 1);

/** Payload length, B, no more than the slot holds, whatever the descriptor says. */
export function descriptorPayloadBytes(memory: ChannelMemory, slot: number): number {
  const base = slot * DESCRIPTOR_WORDS + word.payloadBytes;
  const low = (memory.descriptorData[base] ?? 0) >>> 0;
  const high = (memory.descriptorData[base + 1] ?? 0) >>> 0;
  return Math.min(high * WRAP + low, memory.geometry.slotBytes);
}

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
  const metadataBytes = Math.min(small(word.metadataBytes), USER_METADATA_BYTES);
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
