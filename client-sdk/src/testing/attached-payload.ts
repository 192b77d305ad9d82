/** A mapping as one process has it attached, and its broker's end, in this process: real memory, no broker. */
import {
  AttachedMapping,
  BrokerMapping,
  createLinuxSegmentOs,
  type GrantedSegment,
  type OwnedFd,
  type ReceivedSegment,
  SegmentAllocator,
} from '@leasehold/shm-core/internal';
import { MappingAttachment } from '../mapping-attachment.ts';
import type { Session } from '../session.ts';

export const PAGE_BYTES = 4096;
export const RESERVED_BYTES = 64 * PAGE_BYTES;
const ID = 7n;

export interface AttachedPayload {
  readonly broker: BrokerMapping;
  readonly mapping: AttachedMapping;
  close(): void;
}

export async function attachedPayload(
  payloadBytes = PAGE_BYTES,
  access: 'read' | 'write' = 'write',
): Promise<AttachedPayload> {
  const os = createLinuxSegmentOs();
  const broker = await BrokerMapping.create(os, new SegmentAllocator(os), {
    id: ID,
    label: 'leasehold-test',
    payloadBytes,
    reserveBytes: RESERVED_BYTES,
    pages: 'never',
    maxParticipants: 4,
    brokerBell: new Uint8Array(16),
    admit: () => undefined,
  });
  const bell = new Uint8Array(16);
  await broker.addParticipant({ index: 0, generation: 1, bell, counted: false, maxPins: 0, history: 0 });
  const mapping = new AttachedMapping(os, ID, broker.segmentsFor(access, 0).map(received));
  const close = (): void => {
    mapping.release();
    broker.close();
  };
  return { broker, mapping, close };
}

/** As it comes out of a socket: the descriptor stays the broker's. */
function received({
  fd,
  participantIndex = 0,
  participantGeneration = 0,
  ...granted
}: GrantedSegment): ReceivedSegment {
  const kept: OwnedFd = {
    get raw() {
      return fd.raw;
    },
    closed: false,
    close: () => undefined,
    closeInBackground: async () => undefined,
    [Symbol.dispose]: () => undefined,
  };
  return { ...granted, fd: kept, participantIndex, participantGeneration };
}

/** An attachment of it whose session is not there: `detached` says that it was told. */
export function attachmentOf({ mapping, broker }: AttachedPayload) {
  const told: string[] = [];
  const session = {
    adopt: () => void told.push('adopted'),
    release: () => void told.push('released'),
    detach: async (id: bigint) => void told.push(`detached ${id}`),
  } satisfies Pick<Session, 'adopt' | 'release' | 'detach'> as unknown as Session;
  const attachment = new MappingAttachment<Uint8Array>({
    session,
    name: 'table',
    attached: { mapping, attachmentId: 3n, leaseTerms: undefined },
    pageBytes: PAGE_BYTES,
    locked: false,
    grow: (atLeastBytes) => broker.grow(atLeastBytes),
    onClose: () => undefined,
  });
  return { attachment, told };
}
