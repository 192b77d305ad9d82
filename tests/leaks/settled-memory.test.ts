import { describe, expect, it } from 'vitest';
import { settledMemory } from './settled-memory.ts';

const MIB = 2 ** 20;

/** Makes the young generation grow, by what outlives a collection or two and is garbage then. */
function churn(): void {
  const lately: object[][] = [];
  for (let i = 0; i < 4_000; i += 1) {
    lately.push(Array.from({ length: 1_000 }, (_, at) => ({ at, twice: 2 * at })));
    if (lately.length > 100) lately.shift();
  }
}

describe('settled memory', () => {
  it('does not take pages of the heap that are empty for something that is held', async () => {
    const before = await settledMemory();
    let after = before;
    // On a machine with much else to do, the runtime may give the pages back at once.
    const growth = expect.poll(async () => {
      churn();
      after = await settledMemory();
      return after.residentBytes - before.residentBytes;
    });
    await growth.toBeGreaterThan(16 * MIB);
    expect(after.nativeBytes - before.nativeBytes).toBeLessThan(8 * MIB);
    expect(after.heapBytes - before.heapBytes).toBeLessThan(4 * MIB);
  });

  it('shows what is held outside of the heap', async () => {
    const before = await settledMemory();
    const held = Buffer.alloc(64 * MIB, 1);
    const after = await settledMemory();
    expect(after.nativeBytes - before.nativeBytes).toBeGreaterThan(60 * MIB);
    expect(held.length).toBe(64 * MIB);
  });
});
