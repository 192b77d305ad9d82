/**
 * One connection to the attach socket: a Hello in time, then a session that lives exactly as long as the connection. Invariants:
 * every packet costs a bounded amount of work; a client that breaks a rule is dropped; the session ends with the connection at
 * once, and what its process may still touch is handed on when the pidfd says that it is gone.
 */
import {
  ATTACH_PACKET_BYTES_MAX,
  ATTACH_PROTOCOL_VERSION,
  type AttachMessage,
  decodeAttach,
  type Hello,
  LeaseholdError,
} from '@leasehold/proto';
import {
  hasUnreadPackets,
  OsError,
  type OwnedFd,
  receivePacket,
  sendPacket,
  type Watch,
  watchReadable,
} from '@leasehold/shm-core/internal';
import type { Logger } from 'pino';
import type { BrokerCore } from '../domain/broker-core.ts';
import { claimFailed, claimPages, claimTicket, type Granted } from '../domain/mapping-operations.ts';
import { noDescriptors } from '../domain/memory-error.ts';
import type { Peer } from '../domain/policy.ts';
import type { Timer } from '../domain/ports.ts';
import type { Session } from '../domain/session.ts';
import { grant, refused, welcome } from './answers.ts';
import type { SessionBells } from './session-bells.ts';

/** Packets handled before other connections get their turn; the poller comes back for the rest. */
const PACKETS_PER_WAKE = 32;

export interface AttachConnectionOptions {
  readonly core: BrokerCore;
  readonly bells: SessionBells;
  readonly logger: Logger;
  readonly brokerVersion: string;
  readonly peer: Peer;
  /** Becomes readable when the process is gone; null: it is gone already. The connection’s to close. */
  readonly pidfd: OwnedFd | null;
  readonly helloTimer: (onLate: () => void) => Timer;
  /** It has said Hello, or is closed. */
  readonly onSettled: () => void;
  /** Nothing of it is left: neither the connection nor a process that may touch what its session had. */
  readonly onGone: () => void;
}

export class AttachConnection {
  readonly #fd: OwnedFd;
  readonly #options: AttachConnectionOptions;
  readonly #helloTimer: Timer;
  #session: Session | null = null;
  #closed = false;
  #released = false;

  constructor(fd: OwnedFd, options: AttachConnectionOptions) {
    this.#fd = fd;
    this.#options = options;
    watchReadable(
      fd,
      () => this.#readPackets(),
      (error) => {
        options.logger.error({ err: error, clientPid: options.peer.pid }, 'attach connection failed');
        this.close(false);
      },
    );
    this.#helloTimer = options.helloTimer(() => this.#drop('said no Hello in time'));
  }

  #readPackets(): void {
    for (let packets = 0; packets < PACKETS_PER_WAKE && !this.#closed; packets += 1) {
      const received = receivePacket(this.#fd, ATTACH_PACKET_BYTES_MAX, 0);
      if (received.kind === 'empty') return;
      if (received.kind === 'closed') return void this.close(false);
      // No room was offered for descriptors: whoever sends some, or too much, is `truncated`.
      if (received.truncated) return void this.#drop('sent descriptors or an oversized packet');
      this.#handle(received.bytes);
    }
  }

  #handle(packet: Uint8Array): void {
    let message: AttachMessage;
    try {
      message = decodeAttach(packet);
    } catch (error) {
      return void this.#refuseAndClose(asLeaseholdError(error));
    }
    const said = message.message;
    if (this.#session === null) {
      if (said.case === 'hello') return void this.#greet(said.value);
      return void this.#refuseAndClose(new LeaseholdError('MALFORMED_MESSAGE', 'The first message must be Hello.'));
    }
    this.#serve(this.#session, said);
  }

  #serve(session: Session, said: AttachMessage['message']): void {
    const { core } = this.#options;
    switch (said.case) {
      case 'claim':
        this.#answer(() => claimTicket(core, session, said.value.ticket));
        break;
      case 'claimPages':
        this.#answer(() => claimPages(core, session, said.value.mappingId, said.value.participantIndices));
        break;
      case 'detached': {
        const { mappingId, participantIndex, participantGeneration } = said.value;
        core.acknowledge(session, mappingId, participantIndex, participantGeneration);
        break;
      }
      case 'goodbye':
        this.close(true);
        break;
      default:
        this.#drop(`sent ${said.case}, which must not be sent at that point`);
    }
  }

  #greet({ protocolVersion, name }: Hello): void {
    const { core, bells, peer, brokerVersion } = this.#options;
    if (protocolVersion !== ATTACH_PROTOCOL_VERSION) {
      return void this.#refuseAndClose(unsupportedVersion(protocolVersion));
    }
    let bell: ReturnType<SessionBells['make']>;
    try {
      // Before a descriptor is spent on somebody who may not have one.
      core.requireNotDraining();
      core.authorise(peer, 'connect');
      bell = bells.make();
    } catch (error) {
      return void this.#refuseAndClose(asLeaseholdError(error));
    }
    try {
      const { session, token } = core.openSession(peer, name, bell.name);
      this.#session = session;
      session.onEnd(() => {
        bells.remove(bell.name);
        this.close(false);
      });
      this.#settle();
      const packet = welcome({ sessionId: session.id, epoch: core.epoch, token, brokerVersion });
      if (this.#send(packet, [bell.receivingEnd]) !== 'sent') this.#drop('does not take its Welcome');
    } catch (error) {
      if (this.#session === null) bells.remove(bell.name);
      this.#refuseAndClose(asLeaseholdError(error));
    } finally {
      bell.receivingEnd.close();
    }
  }

  #answer(claim: () => Granted): void {
    // One claim at a time, so that descriptors in flight are bounded: the kernel counts them against the broker.
    if (hasUnreadPackets(this.#fd)) return void this.#drop('claimed before it had read the last answer');
    let granted: Granted;
    try {
      granted = claim();
    } catch (error) {
      return void this.#refuse(asLeaseholdError(error));
    }
    const { core } = this.#options;
    try {
      const fds = granted.segments.map(({ fd }) => fd);
      if (this.#send(grant(granted), fds) !== 'sent') this.#drop('does not read its grants');
    } catch (error) {
      // Nothing was handed over, so nothing needs to be waited for.
      claimFailed(core, granted);
      this.#refuse(asLeaseholdError(error));
    } finally {
      for (const { fd, toClose } of granted.segments) if (toClose) fd.close();
    }
  }

  #refuse(error: LeaseholdError): void {
    if (error.code === 'INTERNAL') this.#options.logger.error({ err: error }, 'attach request failed');
    if (this.#send(refused(error), []) !== 'sent') this.#drop('does not read its answers');
  }

  #refuseAndClose(error: LeaseholdError): void {
    const { logger, peer } = this.#options;
    logger.debug({ clientPid: peer.pid, uid: peer.uid, reason: error.code }, 'attach connection refused');
    this.#refuse(error);
    this.close(false);
  }

  #send(packet: Uint8Array, fds: readonly OwnedFd[]): 'sent' | 'full' | 'closed' {
    return this.#closed ? 'closed' : sendPacket(this.#fd, packet, fds);
  }

  #drop(why: string): void {
    if (this.#closed) return;
    const { pid, uid } = this.#options.peer;
    this.#options.logger.debug({ clientPid: pid, uid, why }, 'attach connection dropped');
    this.close(false);
  }

  #settle(): void {
    this.#helloTimer.cancel();
    this.#options.onSettled();
  }

  /** `acknowledged`: the client has said that its process touches nothing any more. Idempotent. */
  close(acknowledged: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#fd.close();
    this.#settle();
    const session = this.#session;
    if (session === null) return void this.release();
    const { core, pidfd } = this.#options;
    core.endSession(session, acknowledged);
    if (pidfd === null || session.vacated) core.processGone(session);
    else this.#watchProcess(pidfd, session);
    session.onVacated(() => this.release());
  }

  #watchProcess(pidfd: OwnedFd, session: Session): void {
    const { core, logger } = this.#options;
    const watch: Watch = watchReadable(
      pidfd,
      () => {
        watch.close();
        core.processGone(session);
        this.release();
      },
      (error) => logger.error({ err: error, clientPid: session.peer.pid }, 'waiting for the end of a process failed'),
    );
    // A process that outlives its session does not keep the broker running.
    watch.unref();
  }

  /** Gives the last descriptor back, at the latest when the broker ends. Idempotent. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#options.pidfd?.close();
    this.#options.onGone();
  }
}

function unsupportedVersion(version: number): LeaseholdError {
  return new LeaseholdError(
    'UNSUPPORTED_VERSION',
    `The client speaks attach protocol version ${version}; this broker speaks ${ATTACH_PROTOCOL_VERSION}.`,
    { metadata: { clientVersion: String(version), brokerVersion: String(ATTACH_PROTOCOL_VERSION) } },
  );
}

function asLeaseholdError(error: unknown): LeaseholdError {
  if (error instanceof LeaseholdError) return error;
  const metadata = error instanceof OsError ? { call: error.call, errno: error.code } : {};
  return (
    noDescriptors(error) ??
    new LeaseholdError('INTERNAL', 'The broker failed; its log says why.', { metadata, cause: error })
  );
}
