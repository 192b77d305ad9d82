import { describe, expect, it } from 'vitest';
import { loadCodeUnderTest } from '../code-under-test.ts';
import type { Model } from './case.ts';
import type { Script } from './participant-run.ts';
import { randomWalks } from './random-walk.ts';
import { decodeSchedule, encodeSchedule, replay } from './schedule.ts';
import { search } from './search.ts';
import type { World } from './world.ts';

const EVERY = { bound: Number.POSITIVE_INFINITY };

/** One word of shared memory, which `script` has mapped. */
const onWords = (script: (words: Int32Array, world: World) => unknown): Script => {
  return (world) => script(new Int32Array(world.range('memory').words32(0, 4).buffer), world);
};

const model = (scripts: Readonly<Record<string, Script>>, rest: Partial<Model> = {}): Model => ({
  segments: [{ name: 'memory', initial: new ArrayBuffer(16), controlWords: [{ name: 'count', offset: 0, bytes: 4 }] }],
  participants: Object.entries(scripts).map(([name, script]) => ({ name, script })),
  watched: [{ segment: 'memory', word: 'count' }],
  final: (state) => {
    const waiting = Object.entries(state.endings).find(([, { how }]) => how === 'waiting');
    return waiting === undefined ? null : `${waiting[0]} waits for ever`;
  },
  ...rest,
});

const counts = onWords((words) => {
  Atomics.store(words, 0, Atomics.load(words, 0) + 1);
});
const expectTwo: Model['final'] = (state) => {
  const count = state.value({ segment: 'memory', word: 'count' });
  return count === 2 ? null : `${count} instead of 2`;
};

describe('a search', () => {
  it('finds an update that is lost between a load and a store', () => {
    const { violation } = search(() => model({ A: counts, B: counts }, { final: expectTwo }), EVERY);
    expect(violation?.message).toBe('1 instead of 2');
  });

  it('finds it with one preemption, and not with none', () => {
    const lost = () => model({ A: counts, B: counts }, { final: expectTwo });
    expect(search(lost, { bound: 0 })).toMatchObject({ violation: null, complete: true });
    expect(search(lost, { bound: 1 }).violation).not.toBeNull();
  });

  it('finds nothing wrong with an atomic addition', () => {
    const adds = onWords((words) => Atomics.add(words, 0, 1));
    expect(search(() => model({ A: adds, B: adds }, { final: expectTwo }), EVERY)).toMatchObject({
      violation: null,
      complete: true,
    });
  });

  it('visits each of the states of two independent counters of shared words once', () => {
    const steps =
      (name: string): Script =>
      (world) => {
        for (let i = 0; i < 3; i += 1) world.add(name, 1);
      };
    const seesBoth: Script = (world) => [world.load('a'), world.load('b')];
    const found = search(() => model({ A: steps('a'), B: steps('b'), C: seesBoth }), EVERY);
    expect(found.complete).toBe(true);
    // A and B are at one of four places each. C has not looked: 16. It has seen a: 4 values, each with A no farther back: 10 × 4. Both: 10 × 10.
    expect(found.states).toBe(16 + 40 + 100);
  });

  it('says that somebody waits for ever', () => {
    const waits: Script = (world) => world.take('bell');
    expect(search(() => model({ A: waits }), EVERY).violation?.message).toBe('A waits for ever');
  });

  it('kills a participant at every step, and tells the others', () => {
    const seen = new Set<unknown>();
    const mortal: Script = (world) => {
      world.add('done', 1);
      world.add('done', 1);
    };
    const heir: Script = (world) => {
      world.await('dead.A');
      return world.load('done');
    };
    const final: Model['final'] = ({ endings }) => {
      if (endings.A?.how === 'dead') seen.add(endings.B?.report);
      return null;
    };
    const participants = [
      { name: 'A', script: mortal, mayDie: { 'dead.A': 1 } },
      { name: 'B', script: heir },
    ];
    expect(search(() => ({ ...model({}), participants, final }), EVERY).violation).toBeNull();
    expect(seen).toEqual(new Set([0, 1, 2]));
  });

  it('says so when it gives up', () => {
    const found = search(() => model({ A: counts, B: counts }), { ...EVERY, statesMax: 0 });
    expect(found).toMatchObject({ violation: null, complete: false });
  });
});

describe('code under test is found out when it', () => {
  const judge = (script: Script): string | undefined =>
    search(() => model({ A: script, B: counts }), EVERY).violation?.message;

  it('stores to a control word without Atomics', () => {
    const stores = onWords((words) => {
      words[0] = 1;
    });
    expect(judge(stores)).toBe('A: memory.count was stored to without Atomics');
  });

  it('decides by a control word that it loaded without Atomics', () => {
    const loads = onWords((words) => {
      const seen = words[0] ?? 0;
      Atomics.add(words, 0, 1);
      Atomics.add(words, 0, seen);
    });
    expect(judge(loads)).toContain('a control word was loaded without Atomics');
  });

  it('swallows the exception that suspends it', () => {
    const swallows = onWords((words) => {
      try {
        Atomics.add(words, 0, 1);
      } catch {
        return;
      }
    });
    expect(judge(swallows)).toContain('swallowed');
  });

  it('does more in a call than its bound', () => {
    const spins: Script = (world) => world.call('spin', 3, () => [1, 2, 3, 4].map(() => world.load('a')));
    expect(judge(spins)).toBe('A: spin: more operations than its bound');
  });
});

describe('a checkpoint', () => {
  const polls = (remembers: boolean): Script =>
    onWords((words, world) => {
      let first = 0;
      for (let i = 0; i < 2; i += 1) {
        first ||= Atomics.load(words, 0);
        world.checkpoint(remembers ? { i, first } : { i });
      }
      Atomics.add(words, 0, first);
    });

  it('that does not say all that the script remembers is refused', () => {
    const found = search(() => model({ A: polls(false), B: counts }), EVERY);
    expect(found.violation?.message).toBe('A: a checkpoint does not say all that the script remembers');
  });

  it('that does makes fewer states, and the same endings', () => {
    const endings = (script: Script): { states: number; counts: Set<unknown> } => {
      const seen = new Set<unknown>();
      const final: Model['final'] = (state) => {
        seen.add(state.value({ segment: 'memory', word: 'count' }));
        return null;
      };
      const { states } = search(() => model({ A: script, B: counts, C: counts }, { final }), EVERY);
      return { states, counts: seen };
    };
    const forgetful = (marked: boolean): Script =>
      onWords((words, world) => {
        for (let i = 0; i < 3; i += 1) {
          Atomics.load(words, 0);
          if (marked) world.checkpoint({ i });
        }
        Atomics.add(words, 0, 1);
      });
    const [merged, whole] = [endings(forgetful(true)), endings(forgetful(false))];
    expect(merged.counts).toEqual(whole.counts);
    expect(merged.states).toBeLessThan(whole.states);
  });
});

describe('a schedule', () => {
  const lost = () => model({ A: counts, B: counts }, { final: expectTwo });

  it('comes to the same when it is performed again, with every operation by its name', () => {
    const { violation } = search(lost, EVERY);
    if (violation === null) throw new Error('nothing was found');
    const again = replay(lost(), encodeSchedule(violation));
    expect(again.message).toBe('1 instead of 2');
    expect(again.lines).toContain('A store 1 memory.count 0 → 1');
  });

  it('that is none is refused', () => {
    expect(() => decodeSchedule('0*2,x')).toThrow('"x" is not part of a schedule');
  });
});

describe('random walks', () => {
  const lost = () => model({ A: counts, B: counts }, { final: expectTwo });

  it('find what a search finds, the same with the same seed', () => {
    const options = { seed: 7, timeLimitMs: 60_000 };
    const [first, second] = [randomWalks(lost, options), randomWalks(lost, options)];
    expect(first.violation?.message).toBe('1 instead of 2');
    expect(second.walks).toBe(first.walks);
  });
});

describe('the code under test', () => {
  it('is the real code, with private fields that can be read', async () => {
    const { ParticipantLock } = await loadCodeUnderTest();
    expect(ParticipantLock.toString()).toContain('private_serial');
    expect(ParticipantLock.toString()).not.toContain('#serial');
  });
});
