/**
 * The attach socket: who connects is named by the kernel at accept. Whom the policy denies is refused there and takes no place; how
 * many others may stand without a Hello is bounded, of one user and in all, so that neither silence nor a crowd costs anybody else.
 */
import { rmSync } from 'node:fs';
import { LeaseholdError } from '@leasehold/proto';
import {
  acceptConnection,
  listenSeqpacket,
  type OwnedFd,
  peerCredentials,
  peerGroups,
  peerPidfd,
  watchReadable,
} from '@leasehold/shm-core/internal';
import type { Logger } from 'pino';
import type { BrokerCore } from '../domain/broker-core.ts';
import type { Peer } from '../domain/policy.ts';
import type { Clock, Timer } from '../domain/ports.ts';
import { AttachConnection } from './attach-connection.ts';
import { connectDenial } from './connect-denial.ts';
import { ConnectionGate } from './connection-gate.ts';
import { Farewells } from './farewells.ts';
import type { SessionBells } from './session-bells.ts';

/** Connections taken before others get their turn. */
const ACCEPTS_PER_WAKE = 64;
/** Out of descriptors: a pause, in which some may be given back, instead of a busy loop. */
const ACCEPT_PAUSE_MS = 100;

export interface AttachServerOptions {
  readonly path: string;
  readonly mode: number;
  readonly core: BrokerCore;
  readonly bells: SessionBells;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly brokerVersion: string;
  /** Who the broker runs as. */
  readonly ownUid: number;
}

export class AttachServer {
  readonly #options: AttachServerOptions;
  readonly #listener: OwnedFd;
  readonly #connections = new Set<AttachConnection>();
  readonly #unwelcomed: ConnectionGate;
  readonly #farewells: Farewells;
  #pause: Timer | null = null;
  #outOfDescriptors = false;

  /** @throws OsError (EADDRINUSE, EACCES). */
  constructor(options: AttachServerOptions) {
    this.#options = options;
    const { unwelcomed, unwelcomedReserved, unwelcomedPerUid } = options.core.limits;
    this.#unwelcomed = new ConnectionGate({
      placesMax: unwelcomed,
      placesReserved: unwelcomedReserved,
      perUidMax: unwelcomedPerUid,
      deniedPerUidMax: 0,
      deniedMax: 0,
      ownUid: options.ownUid,
      // Whoever is denied was refused before.
      mayConnect: () => true,
    });
    this.#farewells = new Farewells(options.clock, options.logger);
    this.#listener = listenSeqpacket(options.path, options.mode);
    this.#watch();
  }

  #watch(): void {
    const { logger } = this.#options;
    const watch = watchReadable(
      this.#listener,
      () => {
        if (this.#acceptSome()) return;
        watch.close();
        this.#watchLater();
      },
      (error) => logger.error({ err: error }, 'accepting attach connections failed'),
    );
  }

  #watchLater(): void {
    this.#pause = this.#options.clock.after(ACCEPT_PAUSE_MS, () => {
      try {
        this.#watch();
      } catch (err) {
        this.#options.logger.error({ err }, 'the attach socket cannot be watched; it is tried again');
        this.#watchLater();
      }
    });
  }

  /** @returns false when there is no descriptor left to accept with */
  #acceptSome(): boolean {
    for (let accepted = 0; accepted < ACCEPTS_PER_WAKE; accepted += 1) {
      let fd: OwnedFd | null;
      try {
        fd = acceptConnection(this.#listener);
      } catch (error) {
        if (!this.#outOfDescriptors) this.#options.logger.error({ err: error }, 'no attach connection can be accepted');
        this.#outOfDescriptors = true;
        return false;
      }
      this.#outOfDescriptors = false;
      if (fd === null) return true;
      this.#admit(fd);
    }
    return true;
  }

  #admit(fd: OwnedFd): void {
    const { core, logger } = this.#options;
    try {
      const peer: Peer = { ...peerCredentials(fd.raw), groups: peerGroups(fd.raw) };
      const denial = connectDenial(core, peer);
      if (denial !== null) return void this.#farewells.refuse(fd, denial);
      const leave = this.#unwelcomed.enter(peer);
      if (leave === null) return void this.#farewells.refuse(fd, crowded(peer));
      this.#serve(fd, peer, leave);
    } catch (error) {
      fd.close();
      logger.debug({ err: error }, 'an attach connection could not be served');
    }
  }

  #serve(fd: OwnedFd, peer: Peer, onSettled: () => void): void {
    const { core, bells, clock, logger, brokerVersion } = this.#options;
    let pidfd: OwnedFd | null = null;
    try {
      pidfd = peerPidfd(fd.raw, peer.pid);
      const connection = new AttachConnection(fd, {
        core,
        bells,
        logger,
        brokerVersion,
        peer,
        pidfd,
        helloTimer: (onLate) => clock.after(core.limits.helloMs, onLate),
        onSettled,
        onGone: () => this.#connections.delete(connection),
      });
      this.#connections.add(connection);
    } catch (error) {
      onSettled();
      pidfd?.close();
      throw error;
    }
  }

  /** Whether new connections can be taken; false while there is no descriptor for them. */
  get accepting(): boolean {
    return !this.#listener.closed && !this.#outOfDescriptors;
  }

  /** Ends every session that came this way. */
  close(): void {
    this.#pause?.cancel();
    if (this.#listener.closed) return;
    this.#listener.close();
    rmSync(this.#options.path, { force: true });
    this.#farewells.close();
    for (const connection of [...this.#connections]) {
      connection.close(false);
      connection.release();
    }
  }
}

function crowded({ uid }: Peer): LeaseholdError {
  return new LeaseholdError(
    'TOO_MANY_SESSIONS',
    `Too many connections of uid ${uid}, or in all, have not said Hello; try again in a moment.`,
    { metadata: { uid: String(uid) } },
  );
}
