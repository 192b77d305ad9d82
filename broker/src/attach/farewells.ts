/**
 * Refusing at accept, so that it is heard: a socket that is closed before the client's Hello came in, or with the Hello unread,
 * would show the client a broken connection instead of the refusal. Invariants: few connections linger, none longer than a moment
 * or than its first word, and the oldest makes room; none of them counts for anything.
 */
import type { LeaseholdError } from '@leasehold/proto';
import { type OwnedFd, receivePacket, sendPacket, watchReadable } from '@leasehold/shm-core/internal';
import type { Logger } from 'pino';
import type { Clock, Timer } from '../domain/ports.ts';
import { refused } from './answers.ts';

const LINGERING_MAX = 32;
const LINGER_MS = 250;

export class Farewells {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #lingering = new Map<OwnedFd, Timer>();

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Sends the refusal and closes `fd`, at the latest a moment later. */
  refuse(fd: OwnedFd, why: LeaseholdError): void {
    try {
      if (sendPacket(fd, refused(why), []) !== 'sent') return void fd.close();
      this.#linger(fd);
    } catch (err) {
      fd.close();
      this.#logger.debug({ err }, 'an attach connection could not be refused');
    }
  }

  #linger(fd: OwnedFd): void {
    const [oldest] = this.#lingering.keys();
    if (oldest !== undefined && this.#lingering.size >= LINGERING_MAX) this.#end(oldest);
    this.#lingering.set(
      fd,
      this.#clock.after(LINGER_MS, () => this.#end(fd)),
    );
    const hear = () => {
      receivePacket(fd, 1, 0);
      this.#end(fd);
    };
    watchReadable(fd, hear, () => this.#end(fd));
  }

  #end(fd: OwnedFd): void {
    this.#lingering.get(fd)?.cancel();
    this.#lingering.delete(fd);
    fd.close();
  }

  close(): void {
    for (const fd of [...this.#lingering.keys()]) this.#end(fd);
  }
}
