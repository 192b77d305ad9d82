/** What a ring says: for which participant of which mapping it is (docs/PROTOCOL.md, section 8). 12 B, little-endian. */

/** In place of a participant: whoever publishes on that channel. Subscribers do not know his number. */
export const WHOEVER_PUBLISHES = 0xffff_ffff;

export const RING_PAYLOAD_BYTES = 12;
/** Participants of a mapping have smaller numbers. */
const INDICES = 2 ** 16;

export function ringPayload(mappingId: bigint, index: number): Uint8Array {
  const payload = new Uint8Array(RING_PAYLOAD_BYTES);
  const view = new DataView(payload.buffer);
  view.setBigUint64(0, mappingId, true);
  view.setUint32(8, index, true);
  return payload;
}

/** Whom a ring is for, as one number. Mappings 2³² apart share it: then both are woken, and one looks for nothing. */
export function ringKey(mappingId: bigint, index: number): number {
  return keyOf(Number(mappingId & 0xffff_ffffn), index);
}

/** The same of a ring that was received: `words` is its payload. */
export const receivedRingKey = (words: Uint32Array): number => keyOf(words[0] ?? 0, words[2] ?? 0);

const keyOf = (mappingLow: number, index: number): number => mappingLow * INDICES + (index % INDICES);
