// Four projects. `unit` runs from sources, with no build before it, in seconds; `deep` the same way, but for a minute: every
// interleaving of the lock and the channel, and millions of steps of simulated leases. `integration` starts real processes from
// dist/, some files side by side. What needs the machine to itself is `alone`, by directory: then one file at a time.
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { ALONE, SLOW } from './tests/support/suite.ts';

const sourceConditions = ['leasehold-source', 'module', 'node', 'development|production'];

const fromSources = {
  resolve: { conditions: sourceConditions },
  ssr: { resolve: { conditions: sourceConditions, externalConditions: ['leasehold-source', 'node'] } },
};
/** No test is about time; on a machine with much else to do, some start several processes. */
const TEST_MS_MAX = 600_000;
const DEEP = ['shm-core/explore/*.test.ts', 'broker/src/domain/lease-simulation.test.ts'];

/** One more than there are cores, because processes wait for one another now and then; left to itself, Vitest takes one fewer. */
const WORKERS = Math.min(availableParallelism() + 1, 8);
/** One group, so that no core waits for the last file of one project before it begins with another. */
const SIDE_BY_SIDE = { maxWorkers: WORKERS, sequence: { groupOrder: 1 } };
const AFTER_THEM = { fileParallelism: false, sequence: { groupOrder: 2 } };

const common = {
  pool: 'forks',
  testTimeout: TEST_MS_MAX,
  hookTimeout: TEST_MS_MAX,
  // What is waited for comes; a machine with much to do must not make a failure of it.
  expect: { poll: { timeout: TEST_MS_MAX / 2, interval: 10 } },
  // Half of the time goes into starting processes, and a fifth of a start into compiling what has not changed.
  env: { NODE_COMPILE_CACHE: join(import.meta.dirname, 'node_modules/.cache/leasehold-tests') },
} as const;

/** Whatever takes long starts first, so that nobody waits for it at the end. */
class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const place = SLOW.findIndex((slow) => moduleId.includes(slow));
      return place === -1 ? SLOW.length : place;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: SlowFirst },
    projects: [
      {
        ...fromSources,
        test: {
          ...common,
          ...SIDE_BY_SIDE,
          name: 'unit',
          include: [
            '{proto,shm-core,broker,client-sdk,cli}/{src,scripts,explore}/**/*.test.ts',
            'scripts/**/*.test.ts',
          ],
          exclude: DEEP,
          // No module has state, so files can share theirs.
          isolate: false,
        },
      },
      {
        ...fromSources,
        test: {
          ...common,
          ...SIDE_BY_SIDE,
          name: 'deep',
          include: DEEP,
        },
      },
      {
        test: {
          ...common,
          ...SIDE_BY_SIDE,
          name: 'integration',
          include: ['tests/**/*.test.ts'],
          exclude: ALONE,
        },
      },
      {
        test: {
          ...common,
          ...AFTER_THEM,
          name: 'alone',
          include: ALONE,
        },
      },
    ],
  },
});
