/**
 * Doorbells as files under `bells/`: an unguessable name each, which is also what ringers are told. Invariant: the file is there from
 * the making until `remove`, or until the next broker finds that nobody hears it; the receiving end belongs to whoever asked for it.
 */
import { unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { bindDoorbell, type OwnedFd, openRinger, type Ringer } from '@leasehold/shm-core/internal';
import type { Logger } from 'pino';
import type { Doorbells, Entropy } from '../domain/ports.ts';

const NAME_BYTES = 16;
const MAPPING_ID_BYTES = 8;
const INDEX_BYTES = 4;

export interface NewBell {
  /** Raw, as participant pages hold it. */
  readonly name: Uint8Array;
  readonly receivingEnd: OwnedFd;
}

export class SessionBells implements Doorbells {
  readonly #directory: string;
  readonly #mode: number;
  readonly #entropy: Entropy;
  readonly #logger: Logger;
  readonly #ringer: Ringer;
  #left = false;

  constructor(directory: string, mode: number, entropy: Entropy, logger: Logger) {
    this.#directory = directory;
    this.#mode = mode;
    this.#entropy = entropy;
    this.#logger = logger;
    this.#ringer = openRinger();
  }

  /** @throws OsError (EMFILE). */
  make(): NewBell {
    const name = this.#entropy.randomBytes(NAME_BYTES);
    return { name, receivingEnd: bindDoorbell(this.#pathOf(name), this.#mode) };
  }

  /** Never fails: the end of a session must not. A file that could not be removed rings nobody, and the next broker sweeps it. */
  remove(name: Uint8Array): void {
    if (this.#left) return;
    try {
      unlinkSync(this.#pathOf(name));
    } catch (err) {
      this.#logger.warn({ err }, 'a doorbell could not be removed');
    }
  }

  /** From now on bells stay: the broker ends, and those who hear them may not. */
  leave(): void {
    this.#left = true;
  }

  /** The payload, mapping id and participant index, is little-endian. */
  ring(bell: Uint8Array, mappingId: bigint, participantIndex: number): void {
    const payload = new Uint8Array(MAPPING_ID_BYTES + INDEX_BYTES);
    const view = new DataView(payload.buffer);
    view.setBigUint64(0, mappingId, true);
    view.setUint32(MAPPING_ID_BYTES, participantIndex, true);
    // Full: rung already. Gone: nobody is left to wake.
    this.#ringer.ring(this.#pathOf(bell), payload);
  }

  close(): void {
    this.#ringer.close();
  }

  #pathOf(name: Uint8Array): string {
    return join(this.#directory, Buffer.from(name).toString('hex'));
  }
}
