/**
 * The broker's lease domain and the participants' side of the lock in virtual time, against a sequential model. A failure names its
 * seed: LEASEHOLD_SEED=… LEASEHOLD_STEPS=… runs that episode again.
 */
import { describe, it } from 'vitest';
import { LeaseSimulation } from './testing/lease-simulation.ts';

const EPISODE_STEPS = 2000;
const STEPS = Number(process.env.LEASEHOLD_STEPS ?? 2_000_000);
const SEED = process.env.LEASEHOLD_SEED;

describe('leases of random clients', () => {
  it(`are as the model says, step by step`, { timeout: 600_000 }, async () => {
    const first = SEED === undefined ? 1 : Number(SEED);
    const episodes = SEED === undefined ? Math.ceil(STEPS / EPISODE_STEPS) : 1;
    for (let seed = first; seed < first + episodes; seed += 1) {
      try {
        await new LeaseSimulation(seed).run(SEED === undefined ? EPISODE_STEPS : STEPS);
      } catch (error) {
        throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
      }
    }
  });
});
