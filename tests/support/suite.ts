// Which tests have the machine to themselves, and which start first. Invariant: whatever changes or counts what all processes share
// (the pools of large pages, the memory that is free), or measures time under a load of its own, is in ALONE.

export const ALONE = [
  'tests/bench/*.test.ts',
  'tests/bench/peers/**/*.test.ts',
  'tests/memory/**/*.test.ts',
  'tests/prior-art/**/*.test.ts',
  'tests/quotas/**/*.test.ts',
  'tests/stress/lease-hammer.test.ts',
];

/** Each of them takes a quarter of a minute or more. */
export const SLOW = [
  'shm-core/explore/channel',
  'tests/leaks/',
  'broker/src/domain/lease-simulation',
  'tests/crash/subscriber-death',
  'tests/crash/lease-death',
  'tests/crash/publisher-death',
  'tests/crash/lease-',
  'tests/stress/',
  'tests/packs/',
  'tests/cli/',
];
