/** Walks through a system at random, from its start to where nobody can go on, again and again: for what is too large to search. */
import type { Model } from './case.ts';
import type { Violation } from './search.ts';
import { Sharing } from './sharing.ts';
import { type Applied, type Choice, System } from './system.ts';

export interface RandomWalks {
  readonly violation: Violation | null;
  readonly walks: number;
  readonly steps: number;
}

/** The chance that a participant which could go on is left alone for another. */
const SWITCH_CHANCE = 0.2;
const DEATH_CHANCE = 0.01;
/** A walk that goes in circles ends here. */
const STEPS_MAX = 5000;

export function randomWalks(model: () => Model, options: { seed: number; timeLimitMs: number }): RandomWalks {
  const random = generator(options.seed);
  const sharing = new Sharing({ everything: false });
  const endsMs = performance.now() + options.timeLimitMs;
  let system = new System(model(), sharing);
  let [walks, steps] = [0, 0];
  while (performance.now() < endsMs) {
    sharing.grew = false;
    const { trail, wrong } = walk(system, random);
    walks += 1;
    steps += trail.length;
    // What was taken for a word of one participant is not: the walk means nothing, and the system has to be made anew.
    if (sharing.grew) system = new System(model(), sharing);
    else if (wrong !== null) {
      const rootUnseen = system.graphs.map((graph) => graph.rootUnseen);
      return { violation: { message: wrong, path: trail.map(({ choice }) => choice), rootUnseen }, walks, steps };
    } else for (const applied of trail.reverse()) system.undo(applied);
  }
  return { violation: null, walks, steps };
}

function walk(system: System, random: () => number): { trail: Applied[]; wrong: string | null } {
  const trail: Applied[] = [];
  let last = -1;
  while (trail.length < STEPS_MAX) {
    const choice = choose(system, last, random);
    if (choice === null) return { trail, wrong: system.finalViolation() };
    trail.push(system.apply(choice));
    last = choice.participant;
    const wrong = system.violation();
    if (wrong !== null) return { trail, wrong };
  }
  return { trail, wrong: null };
}

function choose(system: System, last: number, random: () => number): Choice | null {
  const pick = <Item>(items: readonly Item[]): Item | undefined => items[Math.floor(random() * items.length)];
  for (const idle of [false, true]) {
    const able = system.participants.flatMap((_, p) => (system.edges(p, idle).length > 0 ? [p] : []));
    if (able.length === 0) continue;
    const mortal = able.filter((p) => system.deaths === 0 && system.canDie(p));
    if (mortal.length > 0 && random() < DEATH_CHANCE) return { participant: pick(mortal) ?? 0, edge: null, outcome: 0 };
    const participant = able.includes(last) && random() > SWITCH_CHANCE ? last : (pick(able) ?? 0);
    const edges = system.edges(participant, idle);
    const outcome = Math.floor(random() * edges.length);
    return { participant, edge: edges[outcome] ?? null, outcome };
  }
  return null;
}

/** Mulberry32: the same seed, the same walks. */
function generator(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
