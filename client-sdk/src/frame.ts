/**
 * A frame that a subscriber holds: pinned until it is released, and every promise given to `holdUntil` has settled. After that its
 * bytes are empty, and JavaScript that still has them touches nothing.
 */
import { LeaseholdError } from '@leasehold/proto';
import { type ChannelMemory, type DescriptorCopy, readDescriptor } from '@leasehold/shm-core/internal';
import type { ReadonlyBytes } from '@leasehold/shm-core/pages';
import { fourccText } from './fourcc.ts';

/** What a frame says of itself. Fields that the publisher left out are as the channel's format says. */
export interface FrameInfo {
  readonly sequence: bigint;
  readonly payloadBytes: number;
  /** Token of the lease under which it was published. */
  readonly fencingToken: bigint;
  /** ns of CLOCK_MONOTONIC. */
  readonly publishedNs: bigint;
  /** When the picture was taken, ns of CLOCK_MONOTONIC; null when not stated. */
  readonly capturedNs: bigint | null;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  readonly strideBytes: number;
  readonly fourcc: string;
  /** The publisher's own, at most 128 B; a copy. */
  readonly metadata: Uint8Array;
}

/** What a frame needs of its subscriber. */
export interface FrameOwner {
  readonly memory: ChannelMemory;
  readonly defaults: {
    readonly width: number;
    readonly height: number;
    readonly strideBytes: number;
    readonly fourcc: string;
  };
  /** Detaches the bytes, then unpins. @throws LeaseholdError VIEW_STOLEN; the slot stays pinned then. */
  finish(frame: Frame, slot: number): void;
}

export class Frame implements Disposable {
  readonly #owner: FrameOwner;
  readonly #slot: number;
  #bytes: Uint8Array;
  #sequence: number;
  #info: FrameInfo | undefined;
  #holds = 0;
  #released = false;
  #finished = false;
  #whenFinished: (() => void) | undefined;

  /** @internal */
  constructor(owner: FrameOwner, slot: number, sequence: number, bytes: Uint8Array) {
    this.#owner = owner;
    this.#slot = slot;
    this.#sequence = sequence;
    this.#bytes = bytes;
  }

  /** @internal The same slot with another frame (`views: 'persistent'`). The one before has been let go. */
  reopen(sequence: number, bytes: Uint8Array): void {
    this.#sequence = sequence;
    this.#bytes = bytes;
    this.#info = undefined;
    this.#released = false;
    this.#finished = false;
    this.#whenFinished = undefined;
  }

  /** The payload, in shared memory. Length 0 once the frame is let go. */
  get bytes(): ReadonlyBytes {
    return this.#bytes;
  }
  /** For libraries that ask for a Uint8Array. IMPORTANT: the memory is mapped read-only; a write through this kills the process. */
  asUint8Array(): Uint8Array {
    return this.#bytes;
  }
  /** A copy of the payload, yours to keep. */
  copy(): Uint8Array<ArrayBuffer> {
    this.#checkHeld();
    return this.#bytes.slice();
  }

  /** From 1, rising; a gap is what this subscriber lost or passed over. */
  get sequence(): bigint {
    return BigInt(this.#sequence);
  }
  /** A copy of the descriptor, made at the first look, which must come before the frame is released. @throws LeaseholdError CLOSED. */
  get info(): FrameInfo {
    if (this.#info === undefined) {
      this.#checkHeld();
      this.#info = this.#describe(readDescriptor(this.#owner.memory, this.#slot));
    }
    return this.#info;
  }

  /**
   * Keeps the pin, and the bytes, until `promise` settles, however early the frame is released. For whatever works on the bytes
   * asynchronously or in native code: it took the pointer when it was called, and detaching does not stop it. Released too early, such
   * work sees another frame or zeros, and `node:zlib` throws where nobody can catch it; memory faults are ruled out.
   * @returns the promise's own outcome.
   */
  async holdUntil<T>(promise: PromiseLike<T>): Promise<T> {
    this.#checkHeld();
    this.#holds += 1;
    try {
      return await promise;
    } finally {
      this.#holds -= 1;
      if (this.#released) this.#finishWhenFree();
    }
  }

  /**
   * Lets the frame go. Idempotent.
   * @throws LeaseholdError VIEW_STOLEN when somebody detached or transferred `bytes.buffer`: the slot stays pinned.
   */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#finishWhenFree();
  }
  [Symbol.dispose](): void {
    this.release();
  }

  /** @internal Whether it was released, and is let go as soon as what holds it has settled. */
  get leaving(): boolean {
    return this.#released && !this.#finished;
  }

  /** @internal Releases, and resolves when nothing holds the frame any more. */
  async drained(): Promise<void> {
    if (this.#finished) return;
    const finished = new Promise<void>((resolve) => {
      this.#whenFinished = resolve;
    });
    this.release();
    await finished;
  }

  #finishWhenFree(): void {
    if (this.#holds > 0 || this.#finished) return;
    this.#finished = true;
    try {
      this.#owner.finish(this, this.#slot);
    } finally {
      this.#whenFinished?.();
    }
  }

  #describe(copy: DescriptorCopy): FrameInfo {
    const { defaults } = this.#owner;
    return {
      sequence: this.sequence,
      payloadBytes: this.#bytes.length,
      fencingToken: copy.fencingToken,
      publishedNs: copy.publishedNs,
      capturedNs: copy.capturedNs,
      width: copy.width === 0 ? defaults.width : copy.width,
      height: copy.height === 0 ? defaults.height : copy.height,
      strideBytes: copy.strideBytes === 0 ? defaults.strideBytes : copy.strideBytes,
      fourcc: copy.fourcc === 0 ? defaults.fourcc : fourccText(copy.fourcc),
      metadata: copy.metadata,
    };
  }

  #checkHeld(): void {
    if (this.#finished) throw new LeaseholdError('CLOSED', `frame ${this.#sequence} was released`);
  }
}
