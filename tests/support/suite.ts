// Which tests have the machine to themselves, and which start first. Invariant: whatever changes or measures what all processes
// share (the pools of large pages, the memory that is free), or loads every core on purpose, is in a directory of ALONE.

export const ALONE = ['bench', 'memory', 'prior-art', 'quotas', 'stress'].map((room) => `tests/${room}/**/*.test.ts`);

/** Each of them takes a quarter of a minute or more. */
export const SLOW = [
  'shm-core/explore/channel',
  'tests/leaks/',
  'broker/src/domain/lease-simulation',
  'tests/crash/subscriber-death',
  'tests/crash/lease-death',
  'tests/crash/publisher-death',
  'tests/crash/lease-',
  'tests/packs/',
  'tests/cli/',
];
