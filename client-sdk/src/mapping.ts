/** A plain mapping by name, and an attachment to it. There is no lock yet: who writes and who reads agree among themselves. */

import { constants } from 'node:buffer';
import { Access, LeaseholdError } from '@leasehold/proto';
import type { AttachedMapping } from '@leasehold/shm-core/internal';
import { checkedChoice } from './arguments.ts';
import type { WaitOptions } from './limits.ts';
import type { MappingInfo } from './plain-types.ts';
import type { ReadonlyBytes } from './readonly-bytes.ts';
import type { Session } from './session.ts';

export class Mapping {
  readonly name: string;
  /** Whether this process created it just now. */
  readonly created: boolean;
  /** The mapping as it was when this was opened. */
  readonly info: MappingInfo;
  readonly #session: Session;

  /** @internal */
  constructor(session: Session, info: MappingInfo, created: boolean) {
    this.#session = session;
    this.name = info.name;
    this.info = info;
    this.created = created;
  }

  /**
   * Maps it into this process.
   * @throws LeaseholdError MAPPING_NOT_FOUND, PERMISSION_DENIED, PARTICIPANTS_EXHAUSTED, TIMED_OUT, ABORTED, BROKER_LOST;
   *   INVALID_SIZE when it is larger than one view can be.
   */
  attach(access: 'read', options?: WaitOptions): Promise<MappingAttachment<ReadonlyBytes>>;
  attach(access: 'write', options?: WaitOptions): Promise<MappingAttachment<Uint8Array>>;
  attach(access: 'read' | 'write', options: WaitOptions = {}): Promise<MappingAttachment<ReadonlyBytes | Uint8Array>> {
    const session = this.#session;
    return session.opening(options, async (limits) => {
      const wanted = checkedChoice('access', access, ['read', 'write']) === 'write' ? Access.WRITE : Access.READ;
      const { payloadBytes } = this.info.memory;
      if (payloadBytes > constants.MAX_LENGTH) {
        throw new LeaseholdError(
          'INVALID_SIZE',
          `${this.name} has ${payloadBytes} B; one view may have ${constants.MAX_LENGTH} B`,
        );
      }
      const response = await session.mappings.attachMapping(
        { name: this.name, access: wanted },
        session.call(limits.rest()),
      );
      const attachmentId = response.attachment?.attachmentId ?? 0n;
      let mapping: AttachedMapping | undefined;
      try {
        if (response.mapping?.id !== this.info.id) throw this.#replaced();
        mapping = await session.claim(response.attachment, limits);
        return new MappingAttachment(session, mapping, attachmentId, payloadBytes);
      } catch (error) {
        mapping?.release();
        void session.detach(attachmentId);
        throw error;
      }
    });
  }

  #replaced(): LeaseholdError {
    return new LeaseholdError(
      'MAPPING_DELETED',
      `mapping ${this.name} was deleted, and another has its name; open it anew`,
    );
  }

  /** Frees the name at once; whoever has it attached keeps it until it detaches. @throws LeaseholdError MAPPING_NOT_FOUND, PERMISSION_DENIED. */
  async delete(options: WaitOptions = {}): Promise<void> {
    await this.#session.mappings.deleteMapping({ name: this.name }, this.#session.call(options));
  }
}

/** A mapping, mapped. `bytes` is exactly the payload; its length is 0 after `close`. */
export class MappingAttachment<Bytes extends ReadonlyBytes | Uint8Array> implements AsyncDisposable {
  readonly #session: Session;
  readonly #mapping: AttachedMapping;
  readonly #attachmentId: bigint;
  readonly #bytes: Uint8Array;
  #closing: Promise<void> | null = null;

  /** @internal */
  constructor(session: Session, mapping: AttachedMapping, attachmentId: bigint, payloadBytes: number) {
    this.#session = session;
    this.#mapping = mapping;
    this.#attachmentId = attachmentId;
    this.#bytes = new Uint8Array(mapping.data.view(0, payloadBytes));
    session.adopt(this);
  }

  get bytes(): Bytes {
    // A reader's memory is mapped read-only, and its type has no way to write: `attach` pairs the two.
    return this.#bytes as ReadonlyBytes as Bytes;
  }
  /** Whether the mapping's name is gone. */
  get deleted(): boolean {
    return this.#closing === null && this.#mapping.lock.deleted;
  }

  /** Detaches `bytes` and unmaps. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#mapping.release();
    this.#session.release(this);
    await this.#session.detach(this.#attachmentId);
  }
}
