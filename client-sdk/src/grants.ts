/** Grants of the broker: descriptors, and what each of them is. */
import * as proto from '@leasehold/proto';
import { LeaseholdError } from '@leasehold/proto';
import type { ReceivedSegment } from '@leasehold/shm-core/internal';
import { type Answer, closeAnswer } from './attach-connection.ts';
import { pageKindFrom } from './convert.ts';

const ROLES: Readonly<Record<number, ReceivedSegment['role']>> = {
  [proto.Role.DATA]: 'data',
  [proto.Role.LOCK]: 'lock',
  [proto.Role.PAGE]: 'page',
};

/** The descriptors of a Grant with what it says of each. @throws LeaseholdError MALFORMED_MESSAGE; the descriptors are closed then. */
export function receivedSegments(answer: Answer): ReceivedSegment[] {
  const { message, fds } = answer;
  try {
    if (message.case !== 'grant' || message.value.roles.length !== fds.length) {
      throw new LeaseholdError(
        'MALFORMED_MESSAGE',
        'the broker did not answer a claim with a Grant of as many descriptors as roles',
      );
    }
    return message.value.roles.map((granted, i) => {
      const role = ROLES[granted.role];
      const fd = fds[i];
      if (role === undefined || fd === undefined)
        throw new LeaseholdError('MALFORMED_MESSAGE', `unknown role ${granted.role} in a Grant`);
      return {
        role,
        fd,
        access: granted.access === proto.Access.WRITE ? 'write' : 'read',
        bytes: Number(granted.bytes),
        pageKind: pageKindFrom(granted.pageKind),
        participantIndex: granted.participantIndex,
        participantGeneration: granted.participantGeneration,
      };
    });
  } catch (error) {
    closeAnswer(answer);
    throw error;
  }
}
