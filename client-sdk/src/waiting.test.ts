import { describe, expect, it } from 'vitest';
import { lookAround, WaitStrategies } from './waiting.ts';

describe('looking before sleeping', () => {
  it.each(WaitStrategies)('%s takes what is there at the first look', async (strategy) => {
    expect(
      await lookAround(
        strategy,
        () => 7,
        () => false,
      ),
    ).toBe(7);
  });

  it('park looks once and sleeps; adaptive looks more often, and sleeps too', async () => {
    const looks = { park: 0, adaptive: 0 };
    for (const strategy of ['park', 'adaptive'] as const) {
      const look = (): null => {
        looks[strategy] += 1;
        return null;
      };
      expect(await lookAround(strategy, look, () => false)).toBeNull();
    }
    expect(looks.park).toBe(1);
    expect(looks.adaptive).toBeGreaterThan(10);
  });

  it.each(['spin', 'yield'] as const)(
    '%s lets the event loop run, so that what ends the wait can happen',
    async (strategy) => {
      let over = false;
      setImmediate(() => {
        over = true;
      });
      expect(
        await lookAround(
          strategy,
          () => null,
          () => over,
        ),
      ).toBeNull();
    },
  );
});
