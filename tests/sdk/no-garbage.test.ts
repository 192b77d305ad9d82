/** Frames leave nothing behind: a garbage collection is a pause that some frame waits for. */
import { expect, it } from 'vitest';
import { command } from '../support/processes.ts';
import { sharedBroker } from '../support/shared-broker.ts';

const WORKER = new URL('../workers/garbage.ts', import.meta.url).pathname;
const FRAMES = 1_000_000;

const { env } = sharedBroker();

async function collectionsOf(views: string): Promise<number> {
  const { code, stdout, stderr } = await command(process.execPath, [WORKER, views, String(FRAMES)], { env }).ended;
  expect([code, stderr]).toEqual([0, '']);
  return (JSON.parse(stdout.toString()) as { collections: number }).collections;
}

it('a million frames are published and taken with persistent views without a garbage collection', async () => {
  expect(await collectionsOf('persistent')).toBe(0);
});

it('a million frames with fenced views are not, for each has a view of its own', async () => {
  expect(await collectionsOf('fenced')).toBeGreaterThan(0);
});
