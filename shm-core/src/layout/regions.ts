/**
 * The ABI: every region that two processes share, field by field. docs/ABI.md is generated from here; a change that moves a
 * field or its meaning raises `ABI_VERSION`. Fields with different writers sit at least 128 bytes apart.
 */
import { byteField, defineLayout, f64, reserved, u32, u32s, u64 } from './define-layout.ts';

/** Major version: memory of another one is refused. */
export const ABI_VERSION = 4;
/** First word of each region, stored last by the broker: 0 means not ready. */
export const MAGIC = { channel: 0x4c534843, lock: 0x4c53484c, page: 0x4c534850 } as const;

/** Indices of participants are below this. */
export const MAX_PARTICIPANTS = 128;
/** Frames that one subscriber may hold at once: its page has a word for each. */
export const MAX_PINS = 256;
/** Slots of a channel: the ring entry has ten bits for a slot, and one value means "no slot". */
export const MAX_SLOTS = 1022;
export const USER_METADATA_BYTES = 128;

export const MappingState = { open: 0, deleted: 1 } as const;

/** Lock segment: one per mapping, base pages. Broker: read and write. Write attachments: read and write. Read attachments: read. */
export const LOCK_SEGMENT = defineLayout(4096, {
  magic: u32('broker; stored last; 0 = not ready'),
  abiVersion: u32('broker; once'),
  mappingId: u64('broker; once'),
  maxParticipants: u32('broker; once; participants'),
  state: u32('broker; atomic; 0 = open, 1 = deleted'),
  publisherBellVersion: u32('broker; atomic; odd while publisherBell is being written'),
  queued: u32('broker; atomic; C: 1 while somebody waits at the broker; nobody takes the lock past him'),
  publisherBell: byteField(16, 'broker; name of the publisher’s doorbell, raw; zero = no publisher'),
  brokerBell: byteField(16, 'broker; once; name of the broker’s doorbell, raw: who releases while C is 1 rings it'),
  committedBytes: u64('broker; atomic; B of payload that are there: the data segment is not touched beyond them'),
  resizes: u32('broker; atomic; rises after every change of committedBytes'),
  reserved1: reserved(52),
  holder: u64('broker and holders; atomic CAS; W: 0, the id of the exclusive hold, 1 = reserved, 2 = being removed'),
  fencingToken: u64('broker and holders; atomic add; F: the newest fencing token'),
  dirty: u64('broker and holders; atomic CAS; 0, or the id of the exclusive hold that was removed'),
  reserved2: reserved(232),
  head: u32(
    'publisher; atomic CAS; sequence of the newest published frame modulo 2^32; a hint, never ahead of the ring',
  ),
  headEra: u32('publisher; atomic; the newest sequence divided by 2^31'),
  endMarks: u32('publisher; atomic add; how many of the sequences are ends of streams, not frames'),
  endedAt: u32('publisher; atomic; sequence of the newest end of a stream, modulo 2^32; meaningful when endMarks > 0'),
  reserved4: reserved(112),
  live: u32s(4, 'broker; atomic; bit i: participant i may hold pins'),
  counted: u32s(4, 'broker; atomic; bit i: a `block` publisher waits for the cursor of participant i'),
  membership: u32(
    'broker; atomic; rises after every change of `live`, and before a new participant is told of its place',
  ),
  reserved5: reserved(92),
  generation: u32s(MAX_PARTICIPANTS, 'broker; atomic; generation of the participant that has, or last had, index i'),
  goneBefore: u32s(
    MAX_PARTICIPANTS,
    'broker; atomic; participants of index i below this generation can no longer write',
  ),
  maxPins: u32s(
    MAX_PARTICIPANTS,
    'broker; atomic; frames that participant i may pin at once: publishers look at that many of its pins',
  ),
  reserved6: reserved(1920),
});

/** Participant page: one segment each, base page. Write attachments: read and write, all. Read attachments: their own only. */
export const PARTICIPANT_PAGE = defineLayout(4096, {
  magic: u32('broker; stored last; 0 = not ready'),
  abiVersion: u32('broker; once'),
  mappingId: u64('broker; once'),
  index: u32('broker; once'),
  generation: u32('broker; once'),
  reserved0: reserved(8),
  bell: byteField(16, 'broker; once; name of the participant’s doorbell, raw'),
  reserved1: reserved(80),
  armed: u32('participant sets, whoever rings clears; atomic; 1 = ring me when a frame is published'),
  reserved2: reserved(124),
  publisherArmed: u32(
    'publisher sets, participant clears; atomic; 1 = ring the publisher when the cursor moves or a pin goes',
  ),
  reserved3: reserved(124),
  cursor: u32('participant; atomic; sequence last taken, modulo 2^32'),
  reserved4: reserved(12),
  pins: u32s(
    MAX_PINS,
    'participant; atomic; 0, or the state word of a frame that must not be overwritten, published already or not',
  ),
  reserved5: reserved(112),
  taken: f64('participant; frames taken; statistics only'),
  lost: f64('participant; frames lost; statistics only'),
  dropped: f64('publisher; loans refused for want of a slot; statistics only'),
  reserved6: reserved(104),
  sharedHold: u64('participant and broker; atomic CAS; H: 0, or the id of the shared hold'),
  deadline: u64(
    'participant and broker; atomic; D: end of the hold, ns of CLOCK_MONOTONIC; 2^64 − 16 or more = the hold was removed, and why',
  ),
  reserved7: reserved(2416),
});

/** Start of a channel’s data segment. Write attachments: read and write. Read attachments: read. The broker writes it once. */
export const CHANNEL_HEADER = defineLayout(128, {
  magic: u32('broker; stored last; 0 = not ready'),
  abiVersion: u32('broker; once'),
  mappingId: u64('broker; once'),
  slots: u32('broker; once; N'),
  ringEntries: u32('broker; once; R, a power of two, at least N'),
  block: u32('broker; once; 1 = the publisher waits for subscribers, 0 = it overwrites'),
  maxLoans: u32('broker; once'),
  slotBytes: u64('broker; once; payload capacity of a slot, B'),
  slotStrideBytes: u64('broker; once; from one slot to the next, B'),
  ringOffset: u64('broker; once; B'),
  descriptorsOffset: u64('broker; once; B'),
  slotsOffset: u64('broker; once; B'),
  reserved0: reserved(56),
});

/**
 * One per slot. Fields other than `state` are written while the slot is WRITING and stable while it is published and pinned. All but
 * the metadata is one cache line.
 */
export const FRAME_DESCRIPTOR = defineLayout(256, {
  state: u32('publisher; atomic CAS; 0 free, 01… published or being published, 10… being written, with its owner'),
  flags: u32('publisher; bit 0: end of stream, no payload; bits 8 to 15: B of metadata in use, at most 128'),
  sequence: u64('publisher; from 1'),
  fencingToken: u64('publisher; token of the lease that wrote the frame'),
  publishedNs: u64('publisher; ns, CLOCK_MONOTONIC'),
  payloadBytes: u64('publisher; B'),
  capturedNs: u64('publisher; ns, CLOCK_MONOTONIC; 0 = not stated'),
  width: u32('publisher; pixels; 0 = as the channel'),
  height: u32('publisher; pixels; 0 = as the channel'),
  strideBytes: u32('publisher; B; 0 = as the channel'),
  fourcc: u32('publisher; DRM FourCC; 0 = as the channel'),
  metadata: byteField(USER_METADATA_BYTES, 'publisher; the user’s own'),
  reserved0: reserved(64),
});

export const FrameFlags = { endOfStream: 1 } as const;
/** Where the length of the metadata is in `flags`. */
export const METADATA_BYTES_SHIFT = 8;
