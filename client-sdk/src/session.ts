/**
 * One session with a broker: the attach connection that is its life, the doorbell, the RPCs, and what is open in it. Everything that
 * maps memory hangs here and is closed before the session is.
 */

import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import * as proto from '@leasehold/proto';
import { type CallOptions, createServiceClient, LeaseholdError, type ServiceClient } from '@leasehold/proto';
import {
  AttachedMapping,
  type ClaimedPage,
  mapPage,
  type OwnedFd,
  openRinger,
  type ReceivedSegment,
  type Ringer,
  type SegmentOs,
} from '@leasehold/shm-core/internal';
import { type Answer, AttachConnection, closeAnswer } from './attach-connection.ts';
import { pageKindFrom } from './convert.ts';
import { Doorbell } from './doorbell.ts';
import type { BrokerSockets } from './find-broker.ts';
import { rpcLimits, type WaitOptions } from './limits.ts';
import { processSegmentOs } from './process-segment-os.ts';

/** How long a publisher waits, blocking, for the page of somebody who joined, ms. */
const CLAIM_TIMEOUT_MS = 1_000;
/** Pages per ClaimPages. */
const CLAIM_PAGES_MAX = 64;

const ROLES: Readonly<Record<number, ReceivedSegment['role']>> = {
  [proto.Role.DATA]: 'data',
  [proto.Role.LOCK]: 'lock',
  [proto.Role.PAGE]: 'page',
};

export interface SessionLimits {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs: number;
}

export class Session {
  readonly sockets: BrokerSockets;
  readonly id: bigint;
  readonly epoch: number;
  readonly brokerVersion: string;
  readonly doorbell: Doorbell;
  readonly mappings: ServiceClient<typeof proto.MappingService>;
  readonly channels: ServiceClient<typeof proto.ChannelService>;
  readonly admin: ServiceClient<typeof proto.AdminService>;
  readonly #os: SegmentOs;
  readonly #connection: AttachConnection;
  readonly #ringer: Ringer;
  readonly #client: grpc.Client;
  readonly #metadata: grpc.Metadata;
  readonly #lost: AbortController;
  readonly #open = new Set<{ close(): Promise<void> }>();
  #closing: Promise<void> | null = null;

  private constructor(
    sockets: BrokerSockets,
    connection: AttachConnection,
    welcome: proto.Welcome,
    bell: OwnedFd,
    lost: AbortController,
  ) {
    this.sockets = sockets;
    this.id = welcome.sessionId;
    this.epoch = welcome.epoch;
    this.brokerVersion = welcome.brokerVersion;
    this.#connection = connection;
    this.#lost = lost;
    this.#os = processSegmentOs();
    this.#ringer = openRinger();
    this.doorbell = new Doorbell(bell);
    this.#metadata = new grpc.Metadata();
    this.#metadata.set('authorization', `Bearer ${Buffer.from(welcome.token).toString('base64url')}`);
    this.#client = new grpc.Client(`unix:${sockets.controlSocket}`, grpc.credentials.createInsecure(), {
      'grpc.enable_http_proxy': 0,
      'grpc.use_local_subchannel_pool': 1,
    });
    this.mappings = createServiceClient(proto.MappingService, this.#client);
    this.channels = createServiceClient(proto.ChannelService, this.#client);
    this.admin = createServiceClient(proto.AdminService, this.#client);
    lost.signal.addEventListener('abort', () => this.doorbell.wakeAll(), { once: true });
  }

  /** @throws LeaseholdError BROKER_UNREACHABLE, PERMISSION_DENIED, UNSUPPORTED_VERSION, TOO_MANY_SESSIONS, DRAINING, TIMED_OUT, ABORTED. */
  static async open(sockets: BrokerSockets, name: string, limits: SessionLimits): Promise<Session> {
    const lost = new AbortController();
    const { connection, welcome } = await AttachConnection.open(sockets.attachSocket, name, limits, (error) =>
      lost.abort(error),
    );
    const [bell, ...others] = welcome.fds;
    if (welcome.message.case !== 'welcome' || bell === undefined || others.length > 0) {
      closeAnswer(welcome);
      connection.close();
      throw new LeaseholdError('MALFORMED_MESSAGE', 'the broker did not answer Hello with Welcome and a doorbell');
    }
    return new Session(sockets, connection, welcome.message.value, bell, lost);
  }

  /** Aborted with BROKER_LOST when the session ends other than by `close`. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }
  get closed(): boolean {
    return this.#closing !== null;
  }
  /** @throws LeaseholdError CLOSED. */
  checkOpen(): void {
    if (this.closed) throw new LeaseholdError('CLOSED', 'the broker connection was closed');
  }

  /** Options of an RPC in this session. */
  call(limits: WaitOptions): CallOptions {
    this.checkOpen();
    if (this.lost.aborted) throw this.lost.reason;
    return { metadata: this.#metadata, ...rpcLimits(limits) };
  }

  /** What `ticket` promised, mapped. @throws LeaseholdError TICKET_INVALID, BROKER_LOST; CorruptMemoryError, OsError. */
  async claim(attachment: proto.Attachment | undefined): Promise<AttachedMapping> {
    if (attachment === undefined)
      throw new LeaseholdError('MALFORMED_MESSAGE', 'the broker answered without an attachment');
    const answer = await this.#connection.request({
      case: 'claim',
      value: { $typeName: 'leasehold.v1.Claim', ticket: attachment.ticket },
    });
    return new AttachedMapping(this.#os, attachment.mappingId, receivedSegments(answer));
  }

  /** Pages of participants, mapped; blocks for at most a second. Fewer than asked when the broker does not have them. */
  claimPages(mappingId: bigint, indices: readonly number[]): ClaimedPage[] {
    const claimed: ClaimedPage[] = [];
    for (let first = 0; first < indices.length; first += CLAIM_PAGES_MAX) {
      const participantIndices = indices.slice(first, first + CLAIM_PAGES_MAX);
      const answer = this.#connection.requestSync(
        { case: 'claimPages', value: { $typeName: 'leasehold.v1.ClaimPages', mappingId, participantIndices } },
        CLAIM_TIMEOUT_MS,
      );
      for (const received of receivedSegments(answer)) claimed.push(this.#mapClaimed(mappingId, received));
    }
    return claimed;
  }

  #mapClaimed(mappingId: bigint, received: ReceivedSegment): ClaimedPage {
    const mapped = mapPage(this.#os, mappingId, received);
    const ring = this.ringFor(mapped.page.bell(), mappingId, mapped.index);
    return { ...mapped, ring, release: mapped.release };
  }

  /** A function that rings the doorbell of that name, raw. */
  ringFor(bell: Uint8Array, mappingId: bigint, index: number): () => void {
    const path = this.bellPath(bell);
    const payload = ringPayload(mappingId, index);
    return () => void this.#ringer.ring(path, payload);
  }
  /** Rings once. */
  ring(bell: Uint8Array, payload: Uint8Array): void {
    this.#ringer.ring(this.bellPath(bell), payload);
  }
  bellPath(bell: Uint8Array): string {
    return join(this.sockets.bellsDir, Buffer.from(bell).toString('hex'));
  }

  /** Tells the broker that an attachment’s memory is no longer touched. Never throws: a lost broker needs no telling. */
  async detach(attachmentId: bigint): Promise<void> {
    if (this.lost.aborted) return;
    await this.mappings
      .detachMapping({ attachmentId }, { metadata: this.#metadata, deadlineMs: 5_000 })
      .catch((error: unknown) => {
        if (!(error instanceof LeaseholdError)) throw error;
      });
  }

  /** Registers something to be closed before the session is. */
  adopt(child: { close(): Promise<void> }): void {
    this.#open.add(child);
  }
  release(child: { close(): Promise<void> }): void {
    this.#open.delete(child);
  }

  /** Closes what is open, then says goodbye. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const outcomes = await Promise.allSettled([...this.#open].map((child) => child.close()));
    this.#connection.notify({ case: 'goodbye', value: { $typeName: 'leasehold.v1.Goodbye' } });
    this.#client.close();
    this.#connection.close();
    this.doorbell.close();
    this.#ringer.close();
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }
}

/** Mapping id and participant: what a ring says, for those who trace it. Nobody acts on it. */
export function ringPayload(mappingId: bigint, index: number): Uint8Array {
  const payload = new Uint8Array(12);
  const view = new DataView(payload.buffer);
  view.setBigUint64(0, mappingId, true);
  view.setUint32(8, index, true);
  return payload;
}

/** The descriptors of a Grant with what it says of each. @throws LeaseholdError MALFORMED_MESSAGE; the descriptors are closed then. */
function receivedSegments(answer: Answer): ReceivedSegment[] {
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
