/** What the broker says on the attach socket, as packets. */
import {
  Access as AccessMessage,
  ATTACH_PROTOCOL_VERSION,
  encodeAttach,
  type LeaseholdError,
  Role,
} from '@leasehold/proto';
import type { GrantedSegment } from '@leasehold/shm-core/internal';
import type { Granted } from '../domain/mapping-operations.ts';
import { PAGE_KIND } from '../wire-names.ts';

const ROLE = { data: Role.DATA, lock: Role.LOCK, page: Role.PAGE } as const satisfies Record<
  GrantedSegment['role'],
  Role
>;
const ACCESS = { read: AccessMessage.READ, write: AccessMessage.WRITE } as const;
/** What of an error goes into a packet of 4,096 bytes. */
const MESSAGE_CHARACTERS_MAX = 500;
const METADATA_ENTRIES_MAX = 8;
const METADATA_VALUE_CHARACTERS_MAX = 100;

export interface Welcoming {
  readonly sessionId: bigint;
  readonly epoch: number;
  readonly token: Uint8Array;
  readonly brokerVersion: string;
}

export function welcome(value: Welcoming): Uint8Array {
  return encodeAttach({
    message: { case: 'welcome', value: { ...value, protocolVersion: ATTACH_PROTOCOL_VERSION } },
  });
}

/** As many roles as the grant has segments, in the order in which their descriptors go. */
export function grant({ mappingId, segments }: Granted): Uint8Array {
  const roles = segments.map(({ role, access, bytes, pageKind, ...page }) => ({
    role: ROLE[role],
    access: ACCESS[access],
    bytes: BigInt(bytes),
    pageKind: PAGE_KIND[pageKind],
    participantIndex: page.participantIndex ?? 0,
    participantGeneration: page.participantGeneration ?? 0,
  }));
  return encodeAttach({ message: { case: 'grant', value: { mappingId, roles } } });
}

export function refused({ code, message, metadata }: LeaseholdError): Uint8Array {
  const kept = Object.entries(metadata)
    .slice(0, METADATA_ENTRIES_MAX)
    .map(([key, value]) => [key, cut(value, METADATA_VALUE_CHARACTERS_MAX)] as const);
  const value = { reason: code, message: cut(message, MESSAGE_CHARACTERS_MAX), metadata: Object.fromEntries(kept) };
  return encodeAttach({ message: { case: 'refused', value } });
}

const cut = (text: string, charactersMax: number): string => text.slice(0, charactersMax).toWellFormed();
