/** What one exploration is about: who takes part, on which memory, and what must hold. */
import type { Segment, WordRef } from './address-space.ts';
import type { Script } from './participant-run.ts';
import type { Value } from './values.ts';

export interface Participant {
  readonly name: string;
  readonly script: Script;
  /** It may be killed at any step; these ghost words are then set, as the kernel would tell of it. */
  readonly mayDie?: Readonly<Record<string, Value>>;
  /** Time, the operator: what it does is nobody's preemption. */
  readonly environment?: boolean;
}

/** How a participant ended, for the checks of a final state. */
export interface Ending {
  readonly how: 'finished' | 'waiting' | 'dead';
  /** What its script returned, or said at its last checkpoint. */
  readonly report: unknown;
}

/** A final state: nobody can go on. */
export interface FinalState {
  readonly endings: Readonly<Record<string, Ending>>;
  /** Of a watched word. */
  value(word: WordRef): Value;
}

/** Holds whenever one of its words has changed. @returns what is wrong, or null */
export interface Invariant {
  readonly words: readonly WordRef[];
  readonly check: (values: readonly Value[]) => string | null;
}

/** Holds for every change of a word. @returns what is wrong, or null */
export interface StepRule {
  readonly word: WordRef;
  /** Other words that it looks at, as they are when the change is made. */
  readonly beside: readonly WordRef[];
  readonly check: (change: { by: string; before: Value; after: Value; beside: readonly Value[] }) => string | null;
}

/** A case, ready to be explored. Everything in it is the same each time it is made. */
export interface Model {
  readonly segments: readonly Segment[];
  /** Ghost words that do not start as 0. */
  readonly ghosts?: Readonly<Record<string, Value>>;
  readonly participants: readonly Participant[];
  readonly invariants?: readonly Invariant[];
  readonly stepRules?: readonly StepRule[];
  /** Words that `final` looks at. */
  readonly watched?: readonly WordRef[];
  /** @returns what is wrong, or null. */
  readonly final: (state: FinalState) => string | null;
}
