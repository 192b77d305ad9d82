/** Attaching to a mapping: the broker's RPC, then the claim of its memory. One that fails leaves nothing. */
import { Access, LeaseholdError, type LeaseTerms } from '@leasehold/proto';
import type { AttachedMapping } from '@leasehold/shm-core/internal';
import type { Limits } from './limits.ts';
import type { MappingInfo } from './plain-types.ts';
import type { Session } from './session.ts';

export interface Attached {
  readonly mapping: AttachedMapping;
  readonly attachmentId: bigint;
  readonly leaseTerms: LeaseTerms | undefined;
}

/** @throws LeaseholdError MAPPING_NOT_FOUND, MAPPING_DELETED, PERMISSION_DENIED, PARTICIPANTS_EXHAUSTED, TIMED_OUT, ABORTED, BROKER_LOST. */
export async function attachMapping(
  session: Session,
  { name, id }: MappingInfo,
  { access, forLeases }: { readonly access: 'read' | 'write'; readonly forLeases: boolean },
  limits: Limits,
): Promise<Attached> {
  const wanted = access === 'write' ? Access.WRITE : Access.READ;
  const request = { name, access: wanted, forLeases };
  const response = await session.mappings.attachMapping(request, session.call(limits.rest()));
  const attachmentId = response.attachment?.attachmentId ?? 0n;
  try {
    if (response.mapping?.id !== id) {
      throw new LeaseholdError(
        'MAPPING_DELETED',
        `mapping ${name} was deleted, and another has its name; open it anew`,
      );
    }
    const mapping = await session.claim(response.attachment, limits);
    return { mapping, attachmentId, leaseTerms: response.attachment?.leaseTerms };
  } catch (error) {
    void session.detach(attachmentId);
    throw error;
  }
}
