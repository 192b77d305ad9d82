import { describe, expect, it } from 'vitest';
import { ParticipantIndices, type Place } from './participant-indices.ts';

const take = (indices: ParticipantIndices): Place => {
  const place = indices.allocate();
  if (place === null) throw new Error('nothing is free');
  return place;
};

describe('participant indices', () => {
  it('are all different, and run out', () => {
    const indices = new ParticipantIndices(3);
    expect(new Set([take(indices), take(indices), take(indices)].map(({ index }) => index))).toEqual(
      new Set([0, 1, 2]),
    );
    expect(indices.allocate()).toBeNull();
  });

  it('are never given out twice with the same generation', () => {
    const indices = new ParticipantIndices(2);
    const seen = new Set<string>();
    for (let round = 0; round < 100; round += 1) {
      const place = take(indices);
      expect(seen).not.toContain(`${place.index}/${place.generation}`);
      seen.add(`${place.index}/${place.generation}`);
      indices.free(place);
    }
  });

  it('are freed by their present owner only', () => {
    const indices = new ParticipantIndices(1);
    const old = take(indices);
    indices.free(old);
    take(indices);
    indices.free(old);
    expect(indices.allocate()).toBeNull();
  });

  it('whose generations are used up are never given out again', () => {
    const indices = new ParticipantIndices(1, 4);
    for (const generation of [1, 2, 3]) {
      const place = take(indices);
      expect(place.generation).toBe(generation);
      indices.free(place);
    }
    expect(indices.allocate()).toBeNull();
  });
});
