/**
 * All that one participant can come to: a node is where it waits to be scheduled, an edge what one step makes of it. Nodes are made by
 * running the participant (participant-run.ts), once for each record; a record that was seen before, or that leads to a state that was
 * seen before, costs a look-up.
 */
import type { ModelMemory } from './model-memory.ts';
import type { Operation, Outcome } from './operations.ts';
import type { ParticipantRun, Stop } from './participant-run.ts';
import type { Value } from './values.ts';

export interface Node {
  readonly id: number;
  /** How it was first reached. */
  readonly parent: Node | null;
  readonly result: Value;
  /** What it does when it is scheduled; null: it has finished, or failed. */
  readonly operation: Operation | null;
  /** Places of the operation's words in the model memory. */
  readonly places: readonly number[];
  /** Places of words that nobody else may change now. */
  readonly stable: readonly number[];
  readonly report: unknown;
  readonly failure: string | null;
  readonly edges: Map<number, Edges>;
  readonly children: Map<Value, Arrival>;
  /** Another way to the same state: whatever follows must follow from it too. */
  other: { readonly parent: Node | null; readonly result: Value } | null;
}

interface Arrival {
  readonly node: Node;
  readonly unseen: number;
}

/** One step, for given values of its words. */
export interface Edge {
  readonly node: Node;
  readonly result: Value;
  /** Number of the new value of each word; −1 = as it was. */
  readonly writes: readonly number[];
  /** Operations after it, up to the next step, that nobody else can tell anything by. */
  readonly unseen: number;
  /** What is wrong with it. */
  readonly violation: string | null;
}

/** What can come of a step now, and what when nobody else can go on. */
export interface Edges {
  readonly now: readonly Edge[];
  readonly idle: readonly Edge[];
}

const INCOMPLETE_CHECKPOINT = 'a checkpoint does not say all that the script remembers';
const NO_EDGES: Edges = { now: [], idle: [] };

export class ParticipantGraph {
  readonly #run: ParticipantRun;
  readonly #memory: ModelMemory;
  readonly #byState = new Map<string, Node>();
  readonly #nodes: Node[] = [];
  readonly root: Node;
  /** Operations before its first step. */
  readonly rootUnseen: number;
  runs = 0;

  constructor(run: ParticipantRun, memory: ModelMemory) {
    this.#run = run;
    this.#memory = memory;
    const { node, unseen } = this.#arrive(null, 0);
    this.root = node;
    this.rootUnseen = unseen;
  }

  get size(): number {
    return this.#nodes.length;
  }

  /** What can come of the next step now; nothing: it waits, or is over. */
  edges(node: Node): Edges {
    if (node.operation === null) return NO_EDGES;
    const key = node.places.length === 0 ? 0 : this.#memory.tupleAt(node.places);
    const known = node.edges.get(key);
    if (known !== undefined) return known;
    const values = node.places.map((place) => this.#memory.valueAt(place));
    const outcomes = node.operation.outcomes(values);
    const edges = {
      now: outcomes.filter(({ idle }) => idle !== true).map((outcome) => this.#edge(node, outcome)),
      idle: outcomes.filter(({ idle }) => idle === true).map((outcome) => this.#edge(node, outcome)),
    };
    node.edges.set(key, edges);
    return edges;
  }

  #edge(node: Node, { result, writes, violation }: Outcome): Edge {
    const arrival = node.children.get(result) ?? this.#newChild(node, result);
    const numbers = writes.map((value) => (value === undefined ? -1 : this.#memory.idOf(value)));
    return { node: arrival.node, unseen: arrival.unseen, result, writes: numbers, violation: violation ?? null };
  }

  #newChild(node: Node, result: Value): Arrival {
    const arrival = this.#arrive(node, result);
    node.children.set(result, arrival);
    return arrival;
  }

  #arrive(parent: Node | null, result: Value): Arrival {
    const stop = this.#runAlong(parent, result, null);
    const same = stop.state === null ? undefined : this.#byState.get(stop.state);
    if (same !== undefined && showStep(same.operation) === showStep(stop.operation)) {
      same.other ??= { parent, result };
      return { node: same, unseen: stop.unseen };
    }
    const failure = same === undefined ? this.#disagreement(parent, result, stop) : INCOMPLETE_CHECKPOINT;
    const node: Node = {
      id: this.#nodes.length,
      parent,
      result,
      operation: stop.operation,
      places: stop.operation?.words.map((address) => this.#memory.placeOf(address)) ?? [],
      stable: stop.stable.map((address) => this.#memory.placeOf(address)),
      report: stop.report,
      failure: stop.failure ?? failure,
      edges: new Map(),
      children: new Map(),
      other: null,
    };
    this.#nodes.push(node);
    if (stop.state !== null && same === undefined) this.#byState.set(stop.state, node);
    return { node, unseen: stop.unseen };
  }

  /** Runs the participant along the way to `parent`, and on with `result`. `detour`: a node to reach by its other way. */
  #runAlong(parent: Node | null, result: Value, detour: Node | null): Stop {
    const results: Value[] = [];
    const operations: Operation[] = [];
    if (parent !== null) results.push(result);
    let detourLeft = detour;
    for (let node = parent; node !== null; ) {
      if (node.operation !== null) operations.push(node.operation);
      const way: { parent: Node | null; result: Value } = (node === detourLeft ? node.other : null) ?? node;
      // Once: the other way may come from further on, and pass here again.
      if (node === detourLeft) detourLeft = null;
      if (way.parent !== null) results.push(way.result);
      node = way.parent;
    }
    this.runs += 1;
    return this.#run.run(results.reverse(), operations.reverse());
  }

  /**
   * Equal states must go on equally. If one that was reached in two ways does not, the script has not said everything in a checkpoint, and
   * the exploration would be worth nothing.
   */
  #disagreement(parent: Node | null, result: Value, stop: Stop): string | null {
    let merged = parent;
    while (merged !== null && merged.other === null) merged = merged.parent;
    if (merged === null) return null;
    const other = this.#runAlong(parent, result, merged);
    const show = ({ operation, failure, state }: Stop): string => `${showStep(operation)} ${failure} ${state}`;
    return show(stop) === show(other) ? null : INCOMPLETE_CHECKPOINT;
  }
}

const showStep = (operation: Operation | null): string => `${operation?.label} ${operation?.words.join(' ')}`;
