// Tests that run side by side do not disturb one another: whoever touches what the whole machine has only once has it alone.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ALONE, SLOW } from '../tests/support/suite.ts';

const root = join(import.meta.dirname, '..');

/** The pools of large pages, settings of the kernel, memory that others may take meanwhile. */
const OF_THE_MACHINE = /support\/large-pages|\bavailableBytes\(|\/sys\/|\/proc\/(sys|meminfo|loadavg)|nr_hugepages/;

it('tests that use what the machine has only once are in ALONE', () => {
  const alone = new Set(globSync(ALONE, { cwd: root }));
  const others = globSync('tests/**/*.test.ts', { cwd: root }).filter((file) => !alone.has(file));
  const misplaced = others.flatMap((file) => {
    const [what] = OF_THE_MACHINE.exec(readFileSync(join(root, file), 'utf8')) ?? [];
    return what === undefined ? [] : [{ file, what }];
  });
  expect(misplaced).toEqual([]);
  expect(others.length).toBeGreaterThan(alone.size);
});

it.each([...ALONE, ...SLOW])('there are tests where the suite looks for them: %s', (place) => {
  const files = globSync('{tests,broker,shm-core}/**/*.test.ts', { cwd: root, exclude: ['**/node_modules'] });
  const found = place.includes('*') ? globSync(place, { cwd: root }) : files.filter((file) => file.includes(place));
  expect(found).not.toEqual([]);
});
