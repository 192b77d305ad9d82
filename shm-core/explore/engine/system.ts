/**
 * The whole system at one moment: memory, and where each participant is. It can be moved one step forward and the same step back.
 * Invariant: `undo` of the newest `apply` leaves everything as it was.
 */
import { AddressSpace } from './address-space.ts';
import type { Ending, FinalState, Model, Participant, StepRule } from './case.ts';
import { ModelMemory, mix, SEED_HIGH, SEED_LOW } from './model-memory.ts';
import { type Edge, type Node, ParticipantGraph } from './participant-graph.ts';
import { ParticipantRun } from './participant-run.ts';
import type { Sharing } from './sharing.ts';
import type { Value } from './values.ts';

/** One thing that can happen next. `edge` null: the participant is killed. */
export interface Choice {
  readonly participant: number;
  readonly edge: Edge | null;
  /** Which of the participant's outcomes it is. */
  readonly outcome: number;
}

/** What `undo` needs. */
export interface Applied {
  readonly choice: Choice;
  readonly node: Node;
  readonly before: readonly number[];
}

interface BoundInvariant {
  readonly places: readonly number[];
  readonly check: (values: readonly Value[]) => string | null;
  readonly verdicts: Map<number, string | null>;
}

interface BoundRule {
  readonly place: number;
  readonly beside: readonly number[];
  readonly check: StepRule['check'];
}

const DEAD = 0x7fff_fff0;
/** Places of participants in the hash, after those of words. */
const PARTICIPANT_PLACE = 1_000_000;

export class System {
  readonly space: AddressSpace;
  readonly memory: ModelMemory;
  readonly participants: readonly Participant[];
  readonly graphs: readonly ParticipantGraph[];
  readonly #model: Model;
  readonly #nodes: Node[];
  readonly #dead: boolean[];
  readonly #invariants: readonly BoundInvariant[];
  readonly #rules: readonly BoundRule[];
  readonly #watched: ReadonlySet<number>;
  /** Of the newest step. */
  #violation: string | null = null;

  constructor(model: Model, sharing: Sharing) {
    this.#model = model;
    this.participants = model.participants;
    this.space = new AddressSpace(model.segments, model.ghosts);
    this.memory = new ModelMemory(this.space);
    const watched = [
      ...(model.watched ?? []),
      ...(model.invariants ?? []).flatMap(({ words }) => words),
      ...(model.stepRules ?? []).flatMap(({ word, beside }) => [word, ...beside]),
      ...model.participants.flatMap(({ mayDie }) => Object.keys(mayDie ?? {})),
    ].map((word) => this.space.resolve(word));
    for (const address of watched) sharing.share(address);
    this.#watched = new Set(watched);
    this.graphs = model.participants.map(
      ({ script }, index) =>
        new ParticipantGraph(new ParticipantRun(this.space, sharing, { index, script }), this.memory),
    );
    this.#nodes = this.graphs.map(({ root }) => root);
    this.#dead = this.graphs.map(() => false);
    this.#invariants = (model.invariants ?? []).map(({ words, check }) => ({
      places: words.map((word) => this.memory.placeOf(this.space.resolve(word))),
      check,
      verdicts: new Map(),
    }));
    this.#rules = (model.stepRules ?? []).map(({ word, beside, check }) => ({
      place: this.memory.placeOf(this.space.resolve(word)),
      beside: beside.map((other) => this.memory.placeOf(this.space.resolve(other))),
      check,
    }));
  }

  /** What is wrong with the change that a step makes. Called before it is made. */
  #ruleBroken(participant: number, node: Node, edge: Edge): string | null {
    for (const { place, beside, check } of this.#rules) {
      const id = edge.writes[node.places.indexOf(place)] ?? -1;
      if (id < 0 || id === this.memory.idAt(place)) continue;
      const wrong = check({
        by: this.participants[participant]?.name ?? '',
        before: this.memory.valueAt(place),
        after: this.memory.interner.valueOf(id),
        beside: beside.map((other) => this.memory.valueAt(other)),
      });
      if (wrong !== null) return wrong;
    }
    return null;
  }

  node(participant: number): Node {
    const node = this.#nodes[participant];
    if (node === undefined) throw new Error(`there is no participant ${participant}`);
    return node;
  }
  isDead(participant: number): boolean {
    return this.#dead[participant] === true;
  }
  get deaths(): number {
    return this.#dead.filter((dead) => dead).length;
  }

  /** What the participant can do now. `idle`: of what it does only when nobody else can go on. */
  edges(participant: number, idle: boolean): readonly Edge[] {
    const edges = this.isDead(participant) ? undefined : this.graphs[participant]?.edges(this.node(participant));
    return edges?.[idle ? 'idle' : 'now'] ?? [];
  }

  /**
   * Whether it can be killed now, one that has finished too: what it did last may be no step, until others look at it, which they may
   * do only when it is dead.
   */
  canDie(participant: number): boolean {
    return this.participants[participant]?.mayDie !== undefined && !this.isDead(participant);
  }

  apply(choice: Choice): Applied {
    const { participant, edge } = choice;
    const node = this.node(participant);
    const places = edge === null ? this.#deathPlaces(participant) : node.places;
    const before = places.map((place) => this.memory.idAt(place));
    if (edge === null) {
      this.#dead[participant] = true;
      const told = Object.values(this.participants[participant]?.mayDie ?? {});
      places.forEach((place, i) => void this.memory.storeId(place, this.memory.idOf(told[i] ?? 1)));
    } else {
      this.#nodes[participant] = edge.node;
      const wrong = edge.violation ?? this.#ruleBroken(participant, node, edge);
      this.#violation = wrong === null ? null : `${this.participants[participant]?.name}: ${wrong}`;
      edge.writes.forEach((id, i) => {
        if (id < 0) return;
        this.#violation ??= this.#disturbed(participant, places[i] ?? 0, id);
        this.memory.storeId(places[i] ?? 0, id);
      });
    }
    return { choice, node, before };
  }

  /** Whether somebody has loaded the word plainly, trusting that it does not change now. */
  #disturbed(participant: number, place: number, id: number): string | null {
    if (this.memory.idAt(place) === id) return null;
    for (let p = 0; p < this.#nodes.length; p += 1) {
      if (p === participant || this.isDead(p) || this.#nodes[p]?.stable.includes(place) !== true) continue;
      const [writer, reader] = [this.participants[participant]?.name, this.participants[p]?.name];
      return `${writer}: changes a word that ${reader} has loaded plainly`;
    }
    return null;
  }

  undo({ choice: { participant, edge }, node, before }: Applied): void {
    const places = edge === null ? this.#deathPlaces(participant) : node.places;
    places.forEach((place, i) => void this.memory.storeId(place, before[i] ?? 0));
    this.#nodes[participant] = node;
    this.#violation = null;
    if (edge === null) this.#dead[participant] = false;
  }

  #deathPlaces(participant: number): number[] {
    const words = Object.keys(this.participants[participant]?.mayDie ?? {});
    return words.map((word) => this.memory.placeOf(this.space.resolve(word)));
  }

  /** Hash of the whole state, low half and high half. `extra`: what else makes two states different. */
  hashLow(extra: number): number {
    return this.#hash(this.memory.hashLow, extra, SEED_LOW);
  }
  hashHigh(extra: number): number {
    return this.#hash(this.memory.hashHigh, extra, SEED_HIGH);
  }
  #hash(memory: number, extra: number, seed: number): number {
    let hash = memory ^ mix(PARTICIPANT_PLACE - 1, extra, seed);
    for (let p = 0; p < this.#nodes.length; p += 1) {
      hash ^= mix(PARTICIPANT_PLACE + p, this.#dead[p] === true ? DEAD : (this.#nodes[p]?.id ?? 0), seed);
    }
    return hash;
  }

  /** What is wrong with this state, whatever comes after it. */
  violation(): string | null {
    if (this.#violation !== null) return this.#violation;
    for (let p = 0; p < this.#nodes.length; p += 1) {
      const failure = this.#nodes[p]?.failure;
      if (failure !== null && failure !== undefined) return `${this.participants[p]?.name}: ${failure}`;
    }
    for (const { places, check, verdicts } of this.#invariants) {
      const tuple = this.memory.tupleAt(places);
      let verdict = verdicts.get(tuple);
      if (verdict === undefined) {
        verdict = check(places.map((place) => this.memory.valueAt(place)));
        verdicts.set(tuple, verdict);
      }
      if (verdict !== null) return verdict;
    }
    return null;
  }

  /** Nobody can go on: what is wrong with that. */
  finalViolation(): string | null {
    return this.#model.final(this.#finalState());
  }

  #finalState(): FinalState {
    const endings: Record<string, Ending> = {};
    this.participants.forEach(({ name }, p) => {
      const { operation, report } = this.node(p);
      const how = operation === null ? 'finished' : 'waiting';
      endings[name] = { how: this.isDead(p) ? 'dead' : how, report };
    });
    return {
      endings,
      value: (word) => {
        const address = this.space.resolve(word);
        if (!this.#watched.has(address))
          throw new Error(`${this.space.nameOf(address)} is not among the watched words`);
        return this.memory.valueAt(this.memory.placeOf(address));
      },
    };
  }
}
