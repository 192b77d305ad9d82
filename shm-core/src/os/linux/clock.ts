import { performance } from 'node:perf_hooks';

/** The clock that all processes of one machine share, as plain numbers. */

const NS_PER_MS = 1e6;

/**
 * CLOCK_MONOTONIC, ns. `process.hrtime` reads that clock, so two processes agree to well under a microsecond; it starts near boot and
 * does not advance during suspend. A double is exact up to 2^53 ns (104 days since boot), then within 2 ns up to 208 days, and so on.
 */
export function monotonicNs(): number {
  return Number(process.hrtime.bigint());
}

/** Readings of both clocks of which the closest pair is taken. */
const PAIRS = 16;

/**
 * The same clock, for who reads it all the time: no bigint is made. `performance.now()` is that clock since the process, or the worker
 * thread, started; when that was is found once, to some nanoseconds.
 */
export function openMonotonicClock(): () => number {
  let startedNs = 0;
  let closestNs = Number.POSITIVE_INFINITY;
  for (let pair = 0; pair < PAIRS; pair += 1) {
    const before = process.hrtime.bigint();
    const sinceMs = performance.now();
    const apartNs = Number(process.hrtime.bigint() - before);
    if (apartNs >= closestNs) continue;
    closestNs = apartNs;
    // The half is for `trunc`, which costs less than `round`.
    startedNs = Math.round(Number(before) + apartNs / 2 - sinceMs * NS_PER_MS) + 0.5;
  }
  return () => Math.trunc(startedNs + performance.now() * NS_PER_MS);
}
