// Three projects. `unit` runs from sources, with no build before it, in seconds; `deep` the same way, but for a minute or two:
// every interleaving of the lock and the channel, and millions of steps of simulated leases. `integration` starts real processes
// from dist/, one file at a time, because its tests own the machine's cores, huge pages and descriptors.
import { defineConfig } from 'vitest/config';

const sourceConditions = ['leasehold-source', 'module', 'node', 'development|production'];

const fromSources = {
  resolve: { conditions: sourceConditions },
  ssr: { resolve: { conditions: sourceConditions, externalConditions: ['leasehold-source', 'node'] } },
};
/** No test is about time; on a machine with much else to do, some start several processes. */
const TEST_MS_MAX = 120_000;
const DEEP = ['shm-core/explore/*.test.ts', 'broker/src/domain/lease-simulation.test.ts'];

export default defineConfig({
  test: {
    projects: [
      {
        ...fromSources,
        test: {
          name: 'unit',
          include: [
            '{proto,shm-core,broker,client-sdk,cli}/{src,scripts,explore}/**/*.test.ts',
            'scripts/**/*.test.ts',
          ],
          exclude: DEEP,
          pool: 'forks',
          testTimeout: TEST_MS_MAX,
          sequence: { groupOrder: 0 },
        },
      },
      {
        ...fromSources,
        test: { name: 'deep', include: DEEP, pool: 'forks', testTimeout: TEST_MS_MAX, sequence: { groupOrder: 0 } },
      },
      {
        test: {
          name: 'integration',
          include: ['tests/**/*.test.ts'],
          pool: 'forks',
          fileParallelism: false,
          testTimeout: TEST_MS_MAX,
          hookTimeout: TEST_MS_MAX,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
