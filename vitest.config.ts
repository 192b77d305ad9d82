// Two projects. `unit` runs from sources, with no build before it; `integration` starts real processes from dist/, one
// file at a time, because its tests own the machine's cores, huge pages and descriptors.
import { defineConfig } from 'vitest/config';

const sourceConditions = ['leasehold-source', 'module', 'node', 'development|production'];

export default defineConfig({
  test: {
    projects: [
      {
        resolve: { conditions: sourceConditions },
        ssr: { resolve: { conditions: sourceConditions, externalConditions: ['leasehold-source', 'node'] } },
        test: {
          name: 'unit',
          include: [
            '{proto,shm-core,broker,client-sdk,cli}/{src,scripts,explore}/**/*.test.ts',
            'scripts/**/*.test.ts',
          ],
          pool: 'forks',
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'integration',
          include: ['tests/**/*.test.ts'],
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
