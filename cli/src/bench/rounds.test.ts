import { describe, expect, it } from 'vitest';
import { orderOf } from './rounds.ts';

const ALL = Array.from({ length: 40 }, (_, index) => index);
const ORDERS = Array.from({ length: 11 }, (_, round) => orderOf(ALL, round));

describe('the order of a round', () => {
  it('has everything once', () => {
    for (const order of ORDERS) expect(order.toSorted((left, right) => left - right)).toEqual(ALL);
    expect(orderOf([], 3)).toEqual([]);
    expect(orderOf(['alone'], 3)).toEqual(['alone']);
  });

  it('begins with something else in every round', () => {
    expect(new Set(ORDERS.map(([first]) => first)).size).toBe(ORDERS.length);
  });

  it('lets nothing come after the same neighbour in all rounds', () => {
    const before = (order: readonly number[], what: number) => order[order.indexOf(what) - 1];
    for (const what of ALL) {
      expect(new Set(ORDERS.map((order) => before(order, what))).size).toBeGreaterThan(1);
    }
  });
});
