/**
 * The work on memory that takes long: populating it, keeping it and giving it back. Invariants: one long step runs at a time in the
 * process, on the thread pool, and nobody who needs little waits behind it; a step is short enough that an abort, and whoever else waits,
 * are soon served; what was promised and is not populated yet is known, because the machine still counts it as free.
 */
import type { OwnedFd, ResidentPart, SegmentOs } from '../os/os.ts';
import { StepQueue } from './step-queue.ts';

/** Memory of one step, B: the delay after which an abort is seen, and for which others wait. */
const STEP_BYTES = 64 * 2 ** 20;

/** As much takes no time worth waiting for, B. Without a page of his own nobody can join a mapping, nor lease it. */
const SHORT_BYTES = 2 ** 20;

/** Told after each step: how much of the whole is there, B. */
export type Progress = (populatedBytes: number, totalBytes: number) => void;

/** A part of a segment: in whole pages to populate it; to give it back, from anywhere to the end of a page. */
export interface PartOfSegment {
  readonly fd: OwnedFd;
  readonly offset: number;
  readonly bytes: number;
  readonly pageBytes: number;
  /** Whether it comes out of what MemAvailable counts; large pages have a pool of their own. */
  readonly ofMachine: boolean;
}

export interface PopulateOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: Progress | undefined;
  /** Part of each step: what is to be done before the memory is populated. */
  readonly beforeStep?: ((offset: number, bytes: number) => Promise<void>) | undefined;
}

export class Populator {
  readonly #os: SegmentOs;
  readonly #steps = new StepQueue();
  readonly #shortSteps = new StepQueue();
  #unpopulatedBytes = 0;
  #promisedBytes = 0;

  constructor(os: SegmentOs) {
    this.#os = os;
  }

  /** Memory of the machine that was promised, and that it still counts as free, B. */
  get unpopulatedBytes(): number {
    return this.#unpopulatedBytes;
  }
  /** All memory, large pages too, that is still to be populated for those who wait for it, B. */
  get promisedBytes(): number {
    return this.#promisedBytes;
  }

  /** @throws OsError (ENOMEM, ENOSPC); the signal's reason. Part of it may be populated then. */
  async populate(part: PartOfSegment, { signal, onProgress, beforeStep }: PopulateOptions = {}): Promise<void> {
    let pendingBytes = part.bytes;
    const count = (bytes: number): void => {
      pendingBytes -= bytes;
      this.#promisedBytes -= bytes;
      if (part.ofMachine) this.#unpopulatedBytes -= bytes;
    };
    count(-part.bytes);
    pendingBytes = part.bytes;
    const queue = part.bytes > SHORT_BYTES ? this.#steps : this.#shortSteps;
    try {
      for (const { offset, bytes } of stepsOf(part)) {
        const step = async (): Promise<void> => {
          await beforeStep?.(offset, bytes);
          await this.#os.populate(part.fd, offset, bytes);
        };
        await queue.run(step, signal);
        count(bytes);
        onProgress?.(part.bytes - pendingBytes, part.bytes);
      }
      signal?.throwIfAborted();
    } finally {
      count(pendingBytes);
    }
  }

  /** Extends what is kept in memory by a part that follows it, and is populated. @throws OsError; the signal's reason. Part of it may be kept then. */
  async keep(resident: ResidentPart, part: PartOfSegment, signal?: AbortSignal): Promise<void> {
    for (const { offset, bytes } of stepsOf(part)) {
      await this.#steps.run(() => resident.extendTo(offset + bytes), signal);
    }
  }

  /**
   * Gives memory back from the end of the part to its beginning, so that what is left is one piece.
   * @returns where what is left ends: the part's beginning, unless `failure` says why it went no further
   */
  async discard(part: PartOfSegment): Promise<{ readonly endsAt: number; readonly failure: unknown }> {
    let endsAt = part.offset + part.bytes;
    try {
      for (const { offset, bytes } of stepsOf(part).reverse()) {
        await this.#steps.run(() => this.#os.discard(part.fd, offset, bytes));
        endsAt = offset;
      }
      return { endsAt, failure: null };
    } catch (failure) {
      return { endsAt, failure };
    }
  }

  /** Another long step, in its turn. */
  run<Result>(step: () => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    return this.#steps.run(step, signal);
  }
}

function stepsOf({ offset, bytes, pageBytes }: PartOfSegment): { offset: number; bytes: number }[] {
  const stepBytes = Math.max(STEP_BYTES, pageBytes);
  const steps: { offset: number; bytes: number }[] = [];
  const end = offset + bytes;
  for (let at = offset; at < end; ) {
    // A page that two steps share would be given back by neither.
    const next = Math.min(end, at - (at % pageBytes) + stepBytes);
    steps.push({ offset: at, bytes: next - at });
    at = next;
  }
  return steps;
}
