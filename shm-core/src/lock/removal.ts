/**
 * Why a hold was taken away, as its deadline word says it: the uppermost values of D are no times. A remover puts one there, by
 * compare-exchange, before it takes the hold; a renewal that comes later fails on it, and its holder reads there what happened.
 */

export const RemovalReasons = ['EXPIRED', 'REVOKED', 'OWNER_DIED', 'MAPPING_DELETED'] as const;
/**
 * EXPIRED: the deadline passed and somebody waited. REVOKED: by an administrator. OWNER_DIED: the broker ended the holder's session.
 * MAPPING_DELETED: nobody can have a lease of it any more.
 */
export type RemovalReason = (typeof RemovalReasons)[number];

const TOP = 2n ** 64n;
/** Deadlines from here on say that the hold was removed. */
const FIRST_MARK = TOP - 16n;

export const isRemovalMark = (deadline: bigint): boolean => deadline >= FIRST_MARK;
export const removalMark = (reason: RemovalReason): bigint => TOP - 1n - BigInt(RemovalReasons.indexOf(reason));
/** Null when the hold was not removed. A mark of a later version reads as REVOKED. */
export function removalReason(deadline: bigint): RemovalReason | null {
  if (!isRemovalMark(deadline)) return null;
  return RemovalReasons[Number(TOP - 1n - deadline)] ?? 'REVOKED';
}
