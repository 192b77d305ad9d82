/**
 * What the lock words hold. A hold id names its holder and never comes back, so that removing the dead is exact and a late store of
 * somebody who lost the lock is recognised: participant index + 1 (8 bits), generation (24), serial (32). The generation is the
 * broker's; the serial is the participant's own count of holds and requests. It comes round after 2^32 of them; a remover would have
 * to sleep through exactly so many to take one for another, and would still fail on the deadline.
 */

export type LockMode = 'shared' | 'exclusive';

/** W and H: nobody holds. */
export const FREE = 0n;
/** W: the broker keeps it for the head of its queue, until the readers have left. */
export const RESERVED = 1n;
/** W: the broker is removing a holder, and has not yet said so in `dirty`. */
export const REMOVING = 2n;

const INDEX_SHIFT = 56n;
const GENERATION_SHIFT = 32n;
const GENERATION_MASK = 0xff_ffffn;
const SERIAL_LIMIT = 2 ** 32;

/** A hold id without its serial. */
export const holderBase = (index: number, generation: number): bigint =>
  (BigInt(index + 1) << INDEX_SHIFT) | ((BigInt(generation) & GENERATION_MASK) << GENERATION_SHIFT);
/** `serial` is 1 to 2^32 − 1. */
export const makeHoldId = (base: bigint, serial: number): bigint => base | BigInt(serial);
/** The serial after this one; never 0. */
export const nextSerial = (serial: number): number => (serial + 1 === SERIAL_LIMIT ? 1 : serial + 1);

/** Whether a value of W or H names a holder. */
export const isHoldId = (value: bigint): boolean => value >> INDEX_SHIFT !== 0n;
/** Participant index of a hold id. */
export const holdIndex = (id: bigint): number => Number(id >> INDEX_SHIFT) - 1;
/** Generation of a hold id. */
export const holdGeneration = (id: bigint): number => Number((id >> GENERATION_SHIFT) & GENERATION_MASK);
/** Whether a value of W or H names that participant. */
export const isHoldOf = (id: bigint, { index, generation }: { index: number; generation: number }): boolean =>
  isHoldId(id) && holdIndex(id) === index && holdGeneration(id) === generation;
