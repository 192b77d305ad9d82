/**
 * Releases frames at their native rate. Frame n is due at start + n / rate, computed from n and never from the frame
 * before it: what a timer or a slow frame is late by is not carried on, so there is no drift.
 * After a pause longer than `catchUpMsMax` the schedule starts again from now, instead of a burst that makes it all up.
 */
import { setTimeout as sleepMs } from 'node:timers/promises';
import type { Fraction } from './y4m-header.ts';

export interface PacerClock {
  /** Monotonic nanoseconds. */
  nowNs(): bigint;
  /** May return a little early or late; rejects when the signal aborts. */
  sleep(durationMs: number, signal: AbortSignal | undefined): Promise<void>;
}

export interface PacerOptions {
  readonly clock?: PacerClock;
  readonly signal?: AbortSignal;
  /** Default 1000. */
  readonly catchUpMsMax?: number;
}

const NS_PER_MS = 1_000_000n;
/** Slower rates wait in several steps: a timer holds only 2³¹ ms. */
const SLEEP_MS_MAX = 60_000;
const NS_PER_S = 1_000_000_000n;

const MONOTONIC_CLOCK: PacerClock = {
  nowNs: () => process.hrtime.bigint(),
  sleep: (durationMs, signal) => sleepMs(durationMs, undefined, signal === undefined ? {} : { signal }),
};

export class Pacer {
  readonly #periodNumerator: bigint;
  readonly #periodDenominator: bigint;
  readonly #clock: PacerClock;
  readonly #signal: AbortSignal | undefined;
  readonly #catchUpNsMax: bigint;
  #startNs: bigint | null = null;
  #frames = 0n;
  #restarts = 0;

  /** @throws RangeError when the rate is not a number of frames per second above 0 */
  constructor(frameRate: Fraction, options: PacerOptions = {}) {
    const { numerator, denominator } = frameRate;
    if (!(Number.isInteger(numerator) && Number.isInteger(denominator) && numerator > 0 && denominator > 0)) {
      throw new RangeError(`cannot pace at ${numerator}/${denominator} frames per second`);
    }
    this.#periodNumerator = NS_PER_S * BigInt(denominator);
    this.#periodDenominator = BigInt(numerator);
    this.#clock = options.clock ?? MONOTONIC_CLOCK;
    this.#signal = options.signal;
    this.#catchUpNsMax = BigInt(Math.round(options.catchUpMsMax ?? 1_000)) * NS_PER_MS;
  }

  /** How often the schedule was given up for a new one. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Settles when the next frame is due; the first one is due at once. Rejects with the signal's reason. */
  async next(): Promise<void> {
    this.#signal?.throwIfAborted();
    let nowNs = this.#clock.nowNs();
    this.#startNs ??= nowNs;
    const dueNs = this.#startNs + (this.#frames * this.#periodNumerator) / this.#periodDenominator;
    if (nowNs - dueNs > this.#catchUpNsMax) {
      this.#startNs = nowNs;
      this.#frames = 0n;
      this.#restarts += 1;
    }
    while (nowNs < dueNs) {
      await this.#sleep(Math.min(SLEEP_MS_MAX, Math.max(1, Number((dueNs - nowNs) / NS_PER_MS))));
      nowNs = this.#clock.nowNs();
    }
    this.#frames += 1n;
  }

  async #sleep(durationMs: number): Promise<void> {
    try {
      await this.#clock.sleep(durationMs, this.#signal);
    } catch (error) {
      this.#signal?.throwIfAborted();
      throw error;
    }
  }
}
