/**
 * From a video input to a channel. Whatever ends the input (its end, a cut, Ctrl-C), every complete frame before it was published
 * and the end of the stream is. Only a publisher that lost its lease or its broker leaves without: another one may continue.
 */
import { setTimeout as sleepMs } from 'node:timers/promises';
import { type Broker, type Channel, LeaseholdError, type Loan, monotonicNs, type Publisher } from '@leasehold/client';
import type { CliContext } from '../program/context.ts';
import { Pacer } from '../video/pacer.ts';
import { ProgressLine } from './progress-line.ts';
import { publishProgressText } from './progress-text.ts';
import type { PublishOptions } from './publish-options.ts';
import { readAbortably, type VideoInput } from './video-input.ts';

const POLL_MS = 20;
/** How often the progress line learns how many subscribers there are. */
const COUNT_INTERVAL_MS = 1_000;
/** Ctrl-C means now: a slow subscriber does not keep the end mark waiting for longer. */
const LAST_WORD_MS = 1_000;
/** How many frames in a row may find no slot because the memory of somebody who just joined cannot be had. */
const REFUSALS_MAX = 8;

export interface VideoPublication {
  readonly broker: Broker;
  readonly name: string;
  readonly input: VideoInput;
  readonly options: PublishOptions;
  readonly context: CliContext;
}

export async function publishVideo({ broker, name, input, options, context }: VideoPublication): Promise<void> {
  const { slots, pages, overflow, persistent } = options;
  const pacer = options.pace === 'native' ? createPacer(input, context.signal) : null;
  const channel = await broker.createChannel(name, {
    format: input.format,
    slotBytes: input.frameBytes,
    slots,
    pages,
    overflow,
    persistent,
    ifExists: 'open-if-same',
    signal: context.signal,
  });
  const publisher = await channel.openPublisher({
    signal: context.signal,
    onQueued: (position) => context.stderr.write(`leasehold: ${name} has a publisher; waiting as number ${position}\n`),
  });
  try {
    await awaitSubscribers(channel, options, context.signal);
    await new VideoPublisher({ channel, publisher, input, pacer, context, brokerLost: broker.lost }).run();
  } finally {
    await publisher.close();
  }
}

function createPacer({ format }: VideoInput, signal: AbortSignal): Pacer {
  if (format.frameRate.numerator > 0) return new Pacer(format.frameRate, { signal });
  throw new Error('cannot keep --pace native: the input does not say how many frames per second it has');
}

/** @throws LeaseholdError TIMED_OUT */
async function awaitSubscribers(
  channel: Channel,
  { awaitSubscribers: wanted, waitMs }: PublishOptions,
  signal: AbortSignal,
): Promise<void> {
  const deadlineMs = waitMs === null ? Number.POSITIVE_INFINITY : performance.now() + waitMs;
  for (;;) {
    const { subscribers } = wanted === 0 ? { subscribers: [] } : await channel.info({ signal });
    if (subscribers.length >= wanted) return;
    if (performance.now() >= deadlineMs) {
      const message = `${subscribers.length} of ${wanted} subscribers came to ${channel.name} within ${waitMs} ms`;
      throw new LeaseholdError('TIMED_OUT', message);
    }
    await sleepMs(POLL_MS, undefined, { signal });
  }
}

interface Resources {
  readonly channel: Channel;
  readonly publisher: Publisher;
  readonly input: VideoInput;
  readonly pacer: Pacer | null;
  readonly context: CliContext;
  readonly brokerLost: AbortSignal;
}

class VideoPublisher {
  readonly #channel: Channel;
  readonly #publisher: Publisher;
  readonly #input: VideoInput;
  readonly #pacer: Pacer | null;
  readonly #context: CliContext;
  readonly #progress: ProgressLine;
  /** Nobody new can come to what is published, or nothing can be published at all. */
  readonly #lost: AbortSignal;
  /** That, or told to stop. */
  readonly #signal: AbortSignal;
  readonly #startMs = performance.now();
  #countDueMs = 0;
  #subscriberCount = 0;
  #refusals = 0;
  /** Where a frame goes for which there is no slot: it must be read to get to the next one. */
  #discarded: Uint8Array | null = null;

  constructor({ channel, publisher, input, pacer, context, brokerLost }: Resources) {
    this.#channel = channel;
    this.#publisher = publisher;
    this.#input = input;
    this.#pacer = pacer;
    this.#context = context;
    this.#progress = new ProgressLine(context);
    this.#lost = AbortSignal.any([publisher.lost, brokerLost]);
    this.#signal = AbortSignal.any([context.signal, this.#lost]);
  }

  async run(): Promise<void> {
    try {
      while (await this.#publishNext()) this.#showProgress();
    } catch (error) {
      this.#progress.clear();
      if (!this.#lost.aborted) await this.#finishSoon();
      throw error;
    }
    await this.#patiently(() => this.#publisher.finish({ signal: this.#signal }));
    this.#progress.end(() => this.#progressText());
  }

  /** False at the end of the input. */
  async #publishNext(): Promise<boolean> {
    const loan = await this.#loan();
    try {
      const frame = await readAbortably(this.#input.reader, this.#signal, () =>
        this.#input.reader.readFrame(loan?.bytes ?? this.#discardedBytes()),
      );
      if (frame === null) return false;
      await this.#pacer?.next();
      loan?.publish({
        payloadBytes: frame.bytes,
        capturedNs: BigInt(monotonicNs()),
        ...(frame.frameParameters !== '' && { metadata: Buffer.from(frame.frameParameters, 'latin1') }),
      });
      return true;
    } finally {
      loan?.discard();
    }
  }

  async #loan(): Promise<Loan | null> {
    if (this.#channel.overflow === 'overwrite') return this.#tryLoan();
    return this.#patiently(() => this.#publisher.loan({ signal: this.#signal }));
  }

  /** Nobody is waited for, a broker that is slow for a moment neither: the frame is dropped. */
  #tryLoan(): Loan | null {
    try {
      const loan = this.#publisher.tryLoan();
      this.#refusals = 0;
      return loan;
    } catch (error) {
      const passing = error instanceof LeaseholdError && error.retryable && !this.#lost.aborted;
      if (!passing || ++this.#refusals > REFUSALS_MAX) throw error;
      return null;
    }
  }

  /** On a `block` channel the slowest subscriber sets the pace, however slow it is, as in a pipe. */
  async #patiently<T>(attempt: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        const slow = error instanceof LeaseholdError && (error.code === 'TIMED_OUT' || error.code === 'NO_FREE_SLOT');
        if (!slow) throw error;
        this.#showProgress();
      }
    }
  }

  /** What made us stop matters more than whether the end mark still went out. */
  async #finishSoon(): Promise<void> {
    await this.#publisher.finish({ timeoutMs: LAST_WORD_MS }).catch(() => undefined);
  }

  #discardedBytes(): Uint8Array {
    this.#discarded ??= new Uint8Array(this.#input.frameBytes);
    return this.#discarded;
  }

  #showProgress(): void {
    this.#progress.update(() => {
      this.#countSubscribers();
      return this.#progressText();
    });
  }

  /** In passing: the line shows the number of the last answer. */
  #countSubscribers(): void {
    const nowMs = performance.now();
    if (nowMs < this.#countDueMs) return;
    this.#countDueMs = nowMs + COUNT_INTERVAL_MS;
    this.#channel.info({ signal: this.#context.signal }).then(
      (info) => {
        this.#subscriberCount = info.subscribers.length;
      },
      () => undefined,
    );
  }

  #progressText(): string {
    return publishProgressText({
      frames: this.#publisher.published,
      dropped: this.#publisher.dropped,
      frameBytes: this.#input.frameBytes,
      elapsedMs: performance.now() - this.#startMs,
      subscribers: this.#subscriberCount,
    });
  }
}
