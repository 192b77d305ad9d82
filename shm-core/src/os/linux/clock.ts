/** The clock that all processes of one machine share, as plain numbers. */

/**
 * CLOCK_MONOTONIC, ns. `process.hrtime` reads that clock, so two processes agree to well under a microsecond; it starts near boot and
 * does not advance during suspend. A double is exact up to 2^53 ns (104 days since boot), then within 2 ns up to 208 days, and so on.
 */
export function monotonicNs(): number {
  return Number(process.hrtime.bigint());
}
