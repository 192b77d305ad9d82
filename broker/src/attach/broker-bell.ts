/**
 * The broker's own doorbell: who releases a lock that somebody waits for rings it. Anybody may ring it at any time, so a ring says no
 * more than "look at every lock that somebody waits for", and a flood costs one look per turn of the event loop.
 */
import { drainDoorbell, type OwnedFd, type Watch, watchReadable } from '@leasehold/shm-core/internal';
import type { Logger } from 'pino';
import type { SessionBells } from './session-bells.ts';

/** Rings taken per wake-up; the rest, if somebody floods, wait for the next. */
const RINGS_PER_WAKE = 64;

export class BrokerBell {
  /** 16 raw bytes, as lock segments hold it. */
  readonly name: Uint8Array;
  readonly #bells: SessionBells;
  readonly #fd: OwnedFd;
  readonly #watch: Watch;

  /** @throws OsError (EMFILE). */
  constructor(bells: SessionBells, onRing: () => void, logger: Logger) {
    const { name, receivingEnd } = bells.make();
    this.name = name;
    this.#bells = bells;
    this.#fd = receivingEnd;
    this.#watch = watchReadable(
      receivingEnd,
      () => {
        drainDoorbell(receivingEnd, RINGS_PER_WAKE);
        onRing();
      },
      (err) => logger.error({ err }, 'the doorbell failed'),
    );
  }

  close(): void {
    this.#watch.close();
    this.#fd.close();
    this.#bells.remove(this.name);
  }
}
