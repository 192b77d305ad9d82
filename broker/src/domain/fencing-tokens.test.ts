import { describe, expect, it } from 'vitest';
import { FencingTokens } from './fencing-tokens.ts';

describe('fencing tokens', () => {
  it('rise, and carry their epoch above 48 bits', () => {
    const tokens = new FencingTokens(7);
    expect([tokens.next(), tokens.next()]).toEqual([(7n << 48n) + 1n, (7n << 48n) + 2n]);
  });

  it('of a later broker are above all of an earlier one', () => {
    expect(new FencingTokens(8).next()).toBeGreaterThan(new FencingTokens(7, 2n ** 48n - 2n).next());
  });

  it('run out instead of starting again', () => {
    const tokens = new FencingTokens(7, 2n ** 48n - 2n);
    expect(tokens.next()).toBe((8n << 48n) - 1n);
    expect(() => tokens.next()).toThrow(expect.objectContaining({ code: 'TOKENS_EXHAUSTED' }));
    expect(() => tokens.next()).toThrow(expect.objectContaining({ code: 'TOKENS_EXHAUSTED' }));
  });

  it.each([0, 65_536, 1.5])('do not exist for epoch %d', (epoch) => {
    expect(() => new FencingTokens(epoch)).toThrow(RangeError);
  });
});
