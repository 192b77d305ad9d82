import { describe, expect, it } from 'vitest';
import { FencingTokens } from './fencing-tokens.ts';

const EPOCH_7 = 7n << 48n;

describe('fencing tokens', () => {
  it('begin at their epoch, above 48 bits', () => {
    const tokens = new FencingTokens(7);
    expect(tokens.beginAfter()).toBe(EPOCH_7);
    expect(tokens.limit).toBe((8n << 48n) - 1n);
  });

  it('of a later broker begin above all of an earlier one', () => {
    expect(new FencingTokens(8).beginAfter()).toBeGreaterThan(new FencingTokens(7).limit);
  });

  it('of a mapping begin above those of every mapping deleted before', () => {
    const tokens = new FencingTokens(7);
    tokens.retire(EPOCH_7, EPOCH_7 + 500n, 10_000);
    expect(tokens.beginAfter()).toBe(EPOCH_7 + 500n);
    tokens.retire(EPOCH_7, EPOCH_7 + 20n, 10_000);
    expect(tokens.beginAfter()).toBe(EPOCH_7 + 500n);
  });

  it('are not used up by somebody who writes nonsense into his mapping', () => {
    const tokens = new FencingTokens(7);
    tokens.retire(EPOCH_7, 2n ** 64n - 1n, 1_000);
    expect(tokens.beginAfter()).toBeLessThan(EPOCH_7 + 2n ** 28n);
    tokens.retire(EPOCH_7, 0n, 1_000);
    expect(tokens.beginAfter()).toBeLessThan(EPOCH_7 + 2n ** 28n);
  });

  it('run out instead of starting again', () => {
    const tokens = new FencingTokens(7);
    tokens.retire(EPOCH_7, tokens.limit, Number.MAX_SAFE_INTEGER);
    expect(() => tokens.beginAfter()).toThrow(expect.objectContaining({ code: 'TOKENS_EXHAUSTED' }));
  });

  it.each([0, 65_536, 1.5])('do not exist for epoch %d', (epoch) => {
    expect(() => new FencingTokens(epoch)).toThrow(RangeError);
  });
});
