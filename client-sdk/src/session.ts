/**
 * One session with a broker: the attach connection that is its life, the doorbell, the RPCs, and what is open in it. Everything that
 * maps memory hangs here and is closed before the session is.
 */

import { join } from 'node:path';
import type * as grpc from '@grpc/grpc-js';
import * as proto from '@leasehold/proto';
import { type CallOptions, createServiceClient, LeaseholdError, type ServiceClient } from '@leasehold/proto';
import {
  AttachedMapping,
  openMonotonicClock,
  openRinger,
  type Ringer,
  type SegmentOs,
} from '@leasehold/shm-core/internal';
import { AttachConnection, closeAnswer } from './attach-connection.ts';
import { bearer, openControlClient } from './control-client.ts';
import { Doorbell } from './doorbell.ts';
import type { BrokerSockets } from './find-broker.ts';
import { receivedSegments } from './grants.ts';
import { LeaseClock } from './lease-clock.ts';
import { MappingSeats } from './lease-seats.ts';
import { Limits, rpcLimits, type WaitOptions, withLimits } from './limits.ts';
import { asLeaseholdError } from './memory-errors.ts';
import { PageClaims } from './page-claims.ts';
import type { MappingInfo } from './plain-types.ts';
import { processSegmentOs } from './process-segment-os.ts';
import { ringPayload } from './ring-payload.ts';

/** How long giving back may take, ms: the broker ends with the session whatever it did not hear of. */
const GIVE_BACK_TIMEOUT_MS = 5_000;

/** Something that maps memory, closed before its session is. */
export interface SessionChild {
  close(): Promise<void>;
}

/** What a session is made of. */
interface Connected {
  readonly connection: AttachConnection;
  readonly welcome: proto.Welcome;
  readonly ringer: Ringer;
  readonly doorbell: Doorbell;
}

export class Session {
  readonly sockets: BrokerSockets;
  readonly id: bigint;
  readonly epoch: number;
  readonly brokerVersion: string;
  readonly doorbell: Doorbell;
  readonly mappings: ServiceClient<typeof proto.MappingService>;
  readonly channels: ServiceClient<typeof proto.ChannelService>;
  readonly leases: ServiceClient<typeof proto.LeaseService>;
  readonly admin: ServiceClient<typeof proto.AdminService>;
  /** Pages of participants of a mapping. */
  readonly pages: PageClaims;
  /** Of all leases of this session. */
  readonly clock = new LeaseClock({ nowNs: openMonotonicClock(), after: unreferencedTimer });
  readonly #os: SegmentOs;
  readonly #connection: AttachConnection;
  readonly #ringer: Ringer;
  readonly #client: grpc.Client;
  readonly #metadata: grpc.Metadata;
  readonly #lost: AbortController;
  readonly #ending = new AbortController();
  readonly #open = new Set<SessionChild>();
  readonly #opening = new Set<Promise<unknown>>();
  readonly #seats = new Map<bigint, MappingSeats>();
  #lostAtMs = Number.POSITIVE_INFINITY;
  #closing: Promise<void> | null = null;

  private constructor(sockets: BrokerSockets, connected: Connected, lost: AbortController) {
    const { welcome } = connected;
    this.sockets = sockets;
    this.id = welcome.sessionId;
    this.epoch = welcome.epoch;
    this.brokerVersion = welcome.brokerVersion;
    this.#connection = connected.connection;
    this.#lost = lost;
    this.#os = processSegmentOs();
    this.#ringer = connected.ringer;
    this.doorbell = connected.doorbell;
    this.pages = new PageClaims(this.#connection, this.#os, (bell) => this.#ringer.bell(this.bellPath(bell)));
    this.#metadata = bearer(welcome.token);
    this.#client = openControlClient(sockets.controlSocket);
    this.mappings = createServiceClient(proto.MappingService, this.#client);
    this.channels = createServiceClient(proto.ChannelService, this.#client);
    this.leases = createServiceClient(proto.LeaseService, this.#client);
    this.admin = createServiceClient(proto.AdminService, this.#client);
    this.doorbell.onRing(() => {
      this.clock.look();
      for (const seats of this.#seats.values()) seats.look();
    });
    const onLost = (): void => {
      this.#lostAtMs = performance.now();
      this.doorbell.wakeAll();
      for (const seats of this.#seats.values()) seats.onBrokerLost();
    };
    lost.signal.addEventListener('abort', onLost, { once: true });
  }

  /** @throws LeaseholdError BROKER_UNREACHABLE, PERMISSION_DENIED, UNSUPPORTED_VERSION, TOO_MANY_SESSIONS, QUOTA_EXCEEDED, DRAINING, TIMED_OUT, ABORTED. */
  static async open(sockets: BrokerSockets, name: string, limits: Limits): Promise<Session> {
    const lost = new AbortController();
    const { connection, welcome } = await AttachConnection.open(sockets.attachSocket, name, limits, (error) =>
      lost.abort(error),
    );
    const [bell, ...others] = welcome.fds;
    try {
      if (welcome.message.case !== 'welcome' || bell === undefined || others.length > 0) {
        throw new LeaseholdError('MALFORMED_MESSAGE', 'the broker did not answer Hello with Welcome and a doorbell');
      }
      const connected = {
        connection,
        welcome: welcome.message.value,
        doorbell: new Doorbell(bell),
        ringer: openRinger(),
      };
      return new Session(sockets, connected, lost);
    } catch (error) {
      closeAnswer(welcome);
      connection.close();
      throw asLeaseholdError(error);
    }
  }

  /** Aborted with BROKER_LOST when the session ends other than by `close`. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }
  /** How long it has been lost, ms; negative while it is not. */
  get lostForMs(): number {
    return performance.now() - this.#lostAtMs;
  }
  /** Why the session has ended, as far as has arrived here; null while it lives. */
  endedBecause(): LeaseholdError | null {
    return this.#connection.endedBecause();
  }
  /** @throws LeaseholdError CLOSED. */
  checkOpen(): void {
    if (this.#closing !== null) throw closed();
  }

  /** Options of an RPC in this session. */
  call(limits: WaitOptions): CallOptions {
    this.checkOpen();
    if (this.lost.aborted) throw this.lost.reason;
    return { metadata: this.#metadata, ...rpcLimits(limits) };
  }

  /**
   * Runs `work`, which opens something that it adopts. `close` aborts it, waits for its end, and closes what it brought.
   * @throws LeaseholdError CLOSED; INVALID_ARGUMENT, ABORTED, TIMED_OUT for the bounds; what `work` throws, in our own class.
   */
  async opening<T>(options: WaitOptions, work: (limits: Limits) => Promise<T>): Promise<T> {
    this.checkOpen();
    const { signal } = this.#ending;
    const either = options.signal === undefined ? signal : AbortSignal.any([options.signal, signal]);
    const promise = work(new Limits({ ...options, signal: either }));
    this.#opening.add(promise);
    try {
      const opened = await promise;
      this.checkOpen();
      return opened;
    } catch (error) {
      this.checkOpen();
      throw asLeaseholdError(error);
    } finally {
      this.#opening.delete(promise);
    }
  }

  /** What `ticket` promised, mapped. @throws LeaseholdError TICKET_INVALID, BROKER_LOST, TIMED_OUT, ABORTED; CorruptMemoryError, OsError. */
  async claim(attachment: proto.Attachment | undefined, limits: Limits): Promise<AttachedMapping> {
    if (attachment === undefined) {
      throw new LeaseholdError('MALFORMED_MESSAGE', 'the broker answered without an attachment');
    }
    const { ticket, mappingId } = attachment;
    const asked = this.#connection.request({ case: 'claim', value: { $typeName: 'leasehold.v1.Claim', ticket } });
    const answer = await withLimits(asked, limits.rest(), 'the broker to hand over memory', closeAnswer);
    return new AttachedMapping(this.#os, mappingId, receivedSegments(answer));
  }

  /** A function that rings the doorbell of that name, raw. */
  ringFor(bell: Uint8Array, mappingId: bigint, index: number): () => 'rung' | 'full' | 'gone' {
    const path = this.bellPath(bell);
    const payload = ringPayload(mappingId, index);
    return () => this.#ringer.ring(path, payload);
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
      .detachMapping({ attachmentId }, { metadata: this.#metadata, deadlineMs: GIVE_BACK_TIMEOUT_MS })
      .catch((error: unknown) => {
        if (!(error instanceof LeaseholdError)) throw error;
      });
  }

  /** Gives a lease back that memory does not show, or leaves the queue for it. @throws LeaseholdError when there is no answer. */
  async releaseLease(mappingId: bigint, holdId: bigint): Promise<void> {
    const call = { metadata: this.#metadata, deadlineMs: GIVE_BACK_TIMEOUT_MS };
    await this.leases.releaseLease({ mappingId, holdId }, call);
  }

  /** The places from which leases of a mapping are taken; the same for all who have it open in this session. */
  seatsOf(mapping: MappingInfo): MappingSeats {
    const seats = this.#seats.get(mapping.id) ?? new MappingSeats(this, mapping);
    this.#seats.set(mapping.id, seats);
    return seats;
  }
  /** Of a mapping that was deleted, when nothing of it is mapped any more. */
  forgetSeats(mappingId: bigint): void {
    this.#seats.delete(mappingId);
  }

  /** Registers what `opening` opens. */
  adopt(child: SessionChild): void {
    this.#open.add(child);
  }
  release(child: SessionChild): void {
    this.#open.delete(child);
  }

  /** Closes what is open, then says goodbye. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** IMPORTANT: goodbye comes when nothing is mapped any more and nothing can come: it tells the broker that all may be used again. */
  async #close(): Promise<void> {
    this.#ending.abort(closed());
    let failure: unknown;
    while (this.#open.size + this.#opening.size > 0) {
      await Promise.allSettled(this.#opening);
      const children = [...this.#open];
      this.#open.clear();
      const outcomes = await Promise.allSettled(children.map((child) => child.close()));
      failure ??= outcomes.find((outcome) => outcome.status === 'rejected')?.reason;
    }
    this.#connection.notify({ case: 'goodbye', value: { $typeName: 'leasehold.v1.Goodbye' } });
    this.clock.close();
    this.#client.close();
    this.#connection.close();
    this.doorbell.close();
    this.#ringer.close();
    if (failure !== undefined) throw failure;
  }
}

const closed = (): LeaseholdError => new LeaseholdError('CLOSED', 'the broker connection was closed');

function unreferencedTimer(delayMs: number, callback: () => void): () => void {
  const timer = setTimeout(callback, delayMs).unref();
  return () => clearTimeout(timer);
}
