/**
 * A mapping, mapped into this process past its lock. Invariants: nothing is viewed beyond the payload that is there when it is asked for;
 * after `close` every view of it is empty.
 */
import { LeaseholdError } from '@leasehold/proto';
import type { ReadableVectorMemory, VectorMemory } from '@leasehold/shm-core';
import type { Advice, AdviceOutcome, AttachedMapping } from '@leasehold/shm-core/internal';
import type { ReadonlyBytes } from '@leasehold/shm-core/pages';
import type { Attached } from './attach-mapping.ts';
import { attachmentMemory } from './attachment-memory.ts';
import { PayloadViews } from './payload-views.ts';
import type { Session } from './session.ts';
import { MappingWindow } from './window.ts';

const NOTHING = new Uint8Array(0);

/** What an attachment needs of the mapping it is of. @internal */
export interface AttachmentParts {
  readonly session: Session;
  readonly name: string;
  readonly attached: Attached;
  readonly pageBytes: number;
  /** Whether the memory was promised to stay where it is. */
  readonly locked: boolean;
  /** Makes the payload at least so large, B. */
  readonly grow: (atLeastBytes: number) => Promise<unknown>;
  /** Told once, when it is closed. */
  readonly onClose: () => void;
}

/** Who attached for reading can open vectors, not write them. */
export type AttachmentMemory<Bytes> = Bytes extends Uint8Array ? VectorMemory : ReadableVectorMemory;

export class MappingAttachment<Bytes extends ReadonlyBytes | Uint8Array> implements AsyncDisposable {
  readonly #parts: AttachmentParts;
  readonly #mapping: AttachedMapping;
  readonly #views: PayloadViews;
  readonly #windows = new Set<MappingWindow>();
  /** Those that `memory` gave out. */
  readonly #memoryViews: ArrayBufferLike[] = [];
  #bytes: Uint8Array<ArrayBuffer> | null = null;
  #closing: Promise<void> | null = null;

  /** @internal */
  constructor(parts: AttachmentParts) {
    this.#parts = parts;
    this.#mapping = parts.attached.mapping;
    this.#views = new PayloadViews(parts.name, this.#mapping);
    parts.session.adopt(this);
  }

  /**
   * Exactly the payload, as large as it is now: after a change of its size this is another array, and the one before is empty. Of length
   * 0 after `close`. @throws LeaseholdError INVALID_SIZE when it is larger than one view can be: use `window`; CORRUPT_MEMORY.
   */
  get bytes(): Bytes {
    if (this.#closing !== null) return NOTHING as ReadonlyBytes as Bytes;
    if (this.#bytes !== null && !this.#views.isWhole(this.#bytes)) {
      this.#views.close(this.#bytes);
      this.#bytes = null;
    }
    this.#bytes ??= this.#views.open();
    // A reader's memory is mapped read-only, and its type has no way to write: `attach` pairs the two.
    return this.#bytes as ReadonlyBytes as Bytes;
  }

  /** What is there now, B. @throws LeaseholdError CLOSED, CORRUPT_MEMORY. */
  get sizeBytes(): number {
    this.#checkOpen();
    return this.#views.sizeBytes;
  }
  /** What it may grow to without being mapped anew, whole pages, B. */
  get reservedBytes(): number {
    return this.#mapping.data.mappedBytes;
  }
  /** Whether the mapping's name is gone. */
  get deleted(): boolean {
    return this.#closing === null && this.#mapping.lock.deleted;
  }

  /**
   * A part of the payload, for as long as it is not closed. When this process makes the mapping smaller, through the object that this
   * was attached with, windows that reach beyond what is left are closed; when another one does, they must not be used any more. @throws LeaseholdError INVALID_SIZE, CLOSED, CORRUPT_MEMORY.
   */
  window(offset: number, length: number): MappingWindow<Bytes> {
    this.#checkOpen();
    const window: MappingWindow<Bytes> = new MappingWindow(this.#views, offset, length, (intact) => {
      this.#windows.delete(window);
      if (!intact) throw viewStolen(this.#parts.name);
    });
    this.#windows.add(window);
    return window;
  }

  /** @internal The mapping may be smaller now: no view reaches beyond it. */
  trim(): void {
    if (this.#closing !== null) return;
    if (this.#bytes !== null && !this.#views.isWhole(this.#bytes)) {
      this.#views.close(this.#bytes);
      this.#bytes = null;
    }
    for (const window of this.#windows) if (window.end > this.#views.sizeBytes) window.close();
  }

  /** What this process is going to do with the payload. Never changes it. @throws LeaseholdError OUT_OF_MEMORY (`populate`), CLOSED. */
  advise(advice: Advice): AdviceOutcome {
    this.#checkOpen();
    return this.#views.advise(advice);
  }

  /** The payload as `SharedVector` takes it, for as long as this is open. */
  get memory(): AttachmentMemory<Bytes> {
    const { name, pageBytes, locked, grow } = this.#parts;
    const { data } = this.#mapping;
    const sizeBytes = (): number => this.sizeBytes;
    // For readers the type leaves out what the MMU would refuse.
    const onView = (buffer: ArrayBufferLike) => void this.#memoryViews.push(buffer);
    return attachmentMemory({ name, data, pageBytes, locked, sizeBytes, grow, onView }) as AttachmentMemory<Bytes>;
  }

  #checkOpen(): void {
    if (this.#closing === null) return;
    throw new LeaseholdError('CLOSED', `this attachment of ${this.#parts.name} is closed`);
  }

  /** Detaches every view and unmaps. Idempotent. @throws LeaseholdError VIEW_STOLEN: somebody else transferred one; it is closed all the same. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const { session, attached } = this.#parts;
    let stolen: unknown;
    if (this.#bytes !== null && !this.#views.close(this.#bytes)) stolen = viewStolen(this.#parts.name);
    for (const window of this.#windows) {
      try {
        window.close();
      } catch (error) {
        stolen ??= error;
      }
    }
    if (this.#memoryViews.some((buffer) => buffer instanceof ArrayBuffer && buffer.detached)) {
      this.#mapping.data.keepFromReuse();
      stolen ??= viewStolen(this.#parts.name);
    }
    this.#mapping.release();
    this.#parts.onClose();
    session.release(this);
    await session.detach(attached.attachmentId);
    if (stolen !== undefined) throw stolen;
  }
}

export const viewStolen = (name: string): LeaseholdError =>
  new LeaseholdError(
    'VIEW_STOLEN',
    `a view of ${name} was transferred or detached by somebody else, who can still reach the memory; copy what must travel`,
  );
