/**
 * The attach socket: who connects is named by the kernel at accept, and how many may stand there without a Hello is bounded, of one
 * user and in all, so that neither silence nor a crowd costs anybody else anything.
 */
import { rmSync } from 'node:fs';
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
import { ConnectionCounts } from './connection-counts.ts';
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
}

export class AttachServer {
  readonly #options: AttachServerOptions;
  readonly #listener: OwnedFd;
  readonly #connections = new Set<AttachConnection>();
  readonly #unwelcomed = new ConnectionCounts();
  #pause: Timer | null = null;
  #outOfDescriptors = false;

  /** @throws OsError (EADDRINUSE, EACCES). */
  constructor(options: AttachServerOptions) {
    this.#options = options;
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
        this.#pause = this.#options.clock.after(ACCEPT_PAUSE_MS, () => this.#watch());
      },
      (error) => logger.error({ err: error }, 'accepting attach connections failed'),
    );
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
    const { limits } = core;
    try {
      const peer: Peer = { ...peerCredentials(fd.raw), groups: peerGroups(fd.raw) };
      const crowded =
        this.#unwelcomed.of(peer.uid) >= limits.unwelcomedPerUid || this.#unwelcomed.total >= limits.unwelcomed;
      if (crowded) return void fd.close();
      this.#serve(fd, peer);
    } catch (error) {
      fd.close();
      logger.debug({ err: error }, 'an attach connection could not be served');
    }
  }

  #serve(fd: OwnedFd, peer: Peer): void {
    const { core, bells, clock, logger, brokerVersion } = this.#options;
    const pidfd = peerPidfd(fd.raw, peer.pid);
    const onSettled = this.#unwelcomed.add(peer.uid);
    try {
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

  /** Ends every session that came this way. */
  close(): void {
    this.#pause?.cancel();
    if (this.#listener.closed) return;
    this.#listener.close();
    rmSync(this.#options.path, { force: true });
    for (const connection of [...this.#connections]) {
      connection.close(false);
      connection.release();
    }
  }
}
