/**
 * What is measured, and what it is given to do so. A scenario is measured a little in every round, among all others, so that whatever
 * drifts (other load, heat, the host) drifts for all alike; those of `when: 'once'` are measured alone, after the rounds.
 */
import type { Crew } from './processes.ts';
import type { Group, Machine, Result } from './report-model.ts';

export interface Scenario {
  /** What decides whether `--only` asks for it. */
  readonly group: Group;
  /** For people, and unique: as a rule the id of its result. */
  readonly name: string;
  readonly when: 'every-round' | 'once';
  /** Before anything is measured. */
  open(): Promise<void>;
  /** A little of it. Figures are kept only when `counted`. */
  measure(counted: boolean): Promise<void>;
  /** After everything was measured. */
  results(): readonly Result[];
  /** May be called at any time, once; what its processes hold ends with them. */
  close(): Promise<void>;
}

/** What a run gives to its scenarios. */
export interface Lab {
  readonly crew: Crew;
  /** Of the run's own broker; clients find it here. */
  readonly runtimeDir: string;
  /** Removed when the run ends. */
  readonly directory: string;
  readonly cores: Machine['cores'];
  /** Seconds, not minutes: measure as little as shows that it works. */
  readonly quick: boolean;
  /** Counted rounds. */
  readonly rounds: number;
  /** Aborted when the run is to end. */
  readonly signal: AbortSignal;
}

/** Starts nothing yet: a scenario that is not asked for costs nothing. */
export type MakeScenarios = (lab: Lab) => readonly Scenario[];
