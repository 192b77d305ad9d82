/**
 * Depth-first search through every interleaving, or every one with at most so many preemptions: switches away from a participant that
 * could have gone on. Invariants: a state is explored once (again only with more preemptions left); what is not complete says so.
 */
import type { Model } from './case.ts';
import { Sharing } from './sharing.ts';
import { type Applied, type Choice, System } from './system.ts';
import { VisitedStates } from './visited-states.ts';

export interface SearchOptions {
  /** Preemptions; Infinity = every interleaving. */
  readonly bound: number;
  /** Participants that may be killed in one run. */
  readonly deathsMax?: number;
  /** Give up after so many states. */
  readonly statesMax?: number;
  /** ms from now. */
  readonly timeLimitMs?: number;
}

export interface Violation {
  readonly message: string;
  /** The steps that lead there, from the start. */
  readonly path: readonly Choice[];
  /** Operations before each participant's first step that are no steps. */
  readonly rootUnseen: readonly number[];
}

export interface SearchResult {
  readonly violation: Violation | null;
  /** Whether everything within the bound was explored. */
  readonly complete: boolean;
  readonly states: number;
  readonly transitions: number;
  /** Final states reached, counted each time. */
  readonly finals: number;
  /** Runs of participants, and the places they can be in. */
  readonly runs: number;
  readonly nodes: number;
  readonly longestPath: number;
  readonly elapsedMs: number;
}

const UNBOUNDED = 254;
const ROUNDS_MAX = 200;

interface Frame {
  readonly choices: readonly Choice[];
  next: number;
  /** Who went last when this state was reached, −1 = nobody; and the preemptions that were left then. */
  readonly last: number;
  readonly left: number;
  /** Whether `last` could go on. */
  readonly lastCanGo: boolean;
  /** How this state was reached; null at the start. */
  readonly applied: Applied | null;
}

export function search(model: () => Model, options: SearchOptions): SearchResult {
  const startedMs = performance.now();
  const sharing = new Sharing({ everything: false });
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    sharing.grew = false;
    const attempt = new Search(new System(model(), sharing), sharing, options, startedMs);
    const result = attempt.run();
    if (result !== null) return result;
  }
  throw new Error(`after ${ROUNDS_MAX} rounds there still are words that turn out to be shared`);
}

class Search {
  readonly #system: System;
  readonly #sharing: Sharing;
  readonly #options: SearchOptions;
  readonly #startedMs: number;
  readonly #visited = new VisitedStates();
  readonly #frames: Frame[] = [];
  #transitions = 0;
  #finals = 0;
  #longestPath = 0;

  constructor(system: System, sharing: Sharing, options: SearchOptions, startedMs: number) {
    this.#system = system;
    this.#sharing = sharing;
    this.#options = options;
    this.#startedMs = startedMs;
  }

  /** @returns null when a word turned out to be shared: everything has to be explored again. */
  run(): SearchResult | null {
    const left = Math.min(this.#options.bound, UNBOUNDED);
    let wrong = this.#system.violation() ?? this.#enter(null, -1, left);
    while (wrong === null && this.#frames.length > 0) {
      if (this.#sharing.grew) return null;
      if ((this.#transitions & 1023) === 0 && this.#isSpent()) return this.#result(null, false);
      wrong = this.#advance();
    }
    if (this.#sharing.grew) return null;
    return this.#result(wrong, wrong === null);
  }

  #isSpent(): boolean {
    const { statesMax = Number.POSITIVE_INFINITY, timeLimitMs = Number.POSITIVE_INFINITY } = this.#options;
    return this.#visited.size > statesMax || performance.now() - this.#startedMs > timeLimitMs;
  }

  /** One step forward, or one back. @returns what is wrong with the state it comes to */
  #advance(): string | null {
    const frame = this.#frames.at(-1);
    const choice = frame?.choices[frame.next];
    if (frame === undefined || choice === undefined) {
      this.#frames.pop();
      if (frame?.applied) this.#system.undo(frame.applied);
      return null;
    }
    frame.next += 1;
    const { last, left } = this.#after(frame, choice);
    if (left < 0) return null;
    const applied = this.#system.apply(choice);
    this.#transitions += 1;
    const wrong = this.#system.violation();
    if (wrong !== null) {
      this.#frames.push({ choices: [], next: 0, last, left, lastCanGo: false, applied });
      return wrong;
    }
    return this.#enter(applied, last, left);
  }

  /** Whose turn it is after `choice`, and how many preemptions are left. */
  #after({ last, left, lastCanGo }: Frame, { participant, edge }: Choice): { last: number; left: number } {
    const isEnvironment = this.#system.participants[participant]?.environment === true;
    if (edge === null || isEnvironment || this.#options.bound === Number.POSITIVE_INFINITY) return { last, left };
    return { last: participant, left: left - (lastCanGo && participant !== last ? 1 : 0) };
  }

  /** Begins with the state the system is in now, unless it was explored. */
  #enter(applied: Applied | null, last: number, left: number): string | null {
    const system = this.#system;
    if (!this.#visited.enter(system.hashLow(last), system.hashHigh(last), left)) {
      if (applied !== null) system.undo(applied);
      return null;
    }
    const { choices, steps } = this.#choices();
    const lastCanGo = last >= 0 && choices.some(({ participant, edge }) => participant === last && edge !== null);
    this.#frames.push({ choices, next: 0, last, left, lastCanGo, applied });
    this.#longestPath = Math.max(this.#longestPath, this.#frames.length);
    if (steps > 0 || this.#sharing.grew) return null;
    this.#finals += 1;
    return system.finalViolation();
  }

  #choices(): { choices: Choice[]; steps: number } {
    const choices: Choice[] = [];
    this.#addSteps(choices, false);
    if (choices.length === 0) this.#addSteps(choices, true);
    const steps = choices.length;
    if (this.#system.deaths < (this.#options.deathsMax ?? 1)) {
      this.#system.participants.forEach((_, participant) => {
        if (this.#system.canDie(participant)) choices.push({ participant, edge: null, outcome: 0 });
      });
    }
    return { choices, steps };
  }

  #addSteps(choices: Choice[], idle: boolean): void {
    const count = this.#system.participants.length;
    for (let participant = 0; participant < count; participant += 1) {
      const edges = this.#system.edges(participant, idle);
      for (let outcome = 0; outcome < edges.length; outcome += 1) {
        choices.push({ participant, edge: edges[outcome] ?? null, outcome });
      }
    }
  }

  #result(wrong: string | null, complete: boolean): SearchResult {
    const { graphs } = this.#system;
    const path = this.#frames.flatMap(({ applied }) => (applied === null ? [] : [applied.choice]));
    const rootUnseen = graphs.map((graph) => graph.rootUnseen);
    return {
      violation: wrong === null ? null : { message: wrong, path, rootUnseen },
      complete,
      states: this.#visited.size,
      transitions: this.#transitions,
      finals: this.#finals,
      runs: graphs.reduce((sum, graph) => sum + graph.runs, 0),
      nodes: graphs.reduce((sum, graph) => sum + graph.size, 0),
      longestPath: this.#longestPath,
      elapsedMs: performance.now() - this.#startedMs,
    };
  }
}
