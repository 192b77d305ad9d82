/**
 * The broker's lease domain and the participants' hands on the lock, in virtual time, against a sequential model. LEASEHOLD_SEED=n runs
 * the episode n again; with LEASEHOLD_STEPS=s too, episodes from n on until s steps are done.
 */
import { describe, expect, it } from 'vitest';
import { LeaseSimulation } from './testing/lease-simulation.ts';

const EPISODE_STEPS = 2000;
// biome-ignore lint/style/noRestrictedGlobals: whoever runs it again says what.
const { LEASEHOLD_SEED, LEASEHOLD_STEPS } = process.env;
const FIRST = Number(LEASEHOLD_SEED ?? 1);
const STEPS = Number(LEASEHOLD_STEPS ?? (LEASEHOLD_SEED === undefined ? 2_000_000 : EPISODE_STEPS));
const EPISODES = Math.ceil(STEPS / EPISODE_STEPS);
const EPISODES_TOGETHER = 100;
const HANG_MS = 600_000;

/** What has to have happened for the rest to mean something. */
const HAPPENINGS = [
  'exclusive granted',
  'exclusive granted, dirty',
  'shared granted',
  'shared granted, dirty',
  'exclusive not granted: tokens-exhausted',
  'exclusive not granted: participant-ended',
  'shared not granted: participant-ended',
  'exclusive not granted: deleted',
  'shared not granted: deleted',
  'exclusive not granted: taken-back',
  'exclusive timed out',
  'shared timed out',
  'exclusive held by others',
  'exclusive cancelled while waiting',
  'publisher granted',
  'publisher granted, dirty',
  'exclusive removed: EXPIRED',
  'exclusive removed: REVOKED',
  'exclusive removed: OWNER_DIED',
  'exclusive removed: MAPPING_DELETED',
  'shared removed: EXPIRED',
  'shared removed: REVOKED',
  'shared removed: OWNER_DIED',
  'shared removed: MAPPING_DELETED',
  'exclusive taken in memory',
  'shared taken in memory',
  'exclusive refused in memory',
  'exclusive taken in memory, its session over',
  'shared taken in memory, its session over',
  'exclusive not taken in memory: no token left',
  'exclusive not taken in memory: a page is missing',
  'released late',
  'renewed late',
  'renewed after its deadline',
  'downgraded while others wait',
  'the last broker died in a removal',
  'somebody waits while the bell is not heard',
];

const groups = Array.from({ length: Math.ceil(EPISODES / EPISODES_TOGETHER) }, (_, group) => {
  const first = FIRST + group * EPISODES_TOGETHER;
  return { first, last: Math.min(first + EPISODES_TOGETHER, FIRST + EPISODES) - 1 };
});

describe('locks that random clients lease, while brokers come and go', () => {
  const happened = new Set<string>();

  it.each(groups)(
    'are step by step what the model says, seeds $first to $last',
    { timeout: HANG_MS },
    async (group) => {
      for (let seed = group.first; seed <= group.last; seed += 1) {
        const simulation = new LeaseSimulation(seed);
        try {
          await simulation.run(EPISODE_STEPS);
        } catch (error) {
          throw new Error(`LEASEHOLD_SEED=${seed} shows it again: ${error instanceof Error ? error.message : error}`, {
            cause: error,
          });
        }
        for (const what of simulation.world.happened) happened.add(what);
      }
    },
  );

  it.runIf(EPISODES >= EPISODES_TOGETHER)('have been through everything that can happen to them', () => {
    expect(HAPPENINGS.filter((what) => !happened.has(what))).toEqual([]);
  });
});
