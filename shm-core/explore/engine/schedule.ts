/**
 * A schedule as text, and its replay. It counts every operation of a participant, not only those that are steps of the search: so it
 * means the same however much was known of who shares what. `0*12,1,0!,2#1` = participant 0 goes for 12 operations, 1 for one, 0 is
 * killed, 2 goes for one with its second outcome.
 */
import type { Model } from './case.ts';
import type { Violation } from './search.ts';
import { Sharing } from './sharing.ts';
import { type Choice, System } from './system.ts';
import { showValue } from './values.ts';

interface Leg {
  readonly participant: number;
  readonly operations: number;
  /** Of the first of the operations. */
  readonly outcome: number;
  readonly killed: boolean;
}

export function encodeSchedule({ path, rootUnseen }: Violation): string {
  const legs: Leg[] = rootUnseen.map((operations, participant) => ({
    participant,
    operations,
    outcome: 0,
    killed: false,
  }));
  for (const { participant, edge, outcome } of path) {
    legs.push({ participant, operations: edge === null ? 0 : edge.unseen + 1, outcome, killed: edge === null });
  }
  return joinLegs(legs).map(showLeg).join(',');
}

function joinLegs(legs: readonly Leg[]): Leg[] {
  const joined: Leg[] = [];
  for (const leg of legs) {
    const before = joined.at(-1);
    const goesOn = before?.participant === leg.participant && !before.killed && !leg.killed && leg.outcome === 0;
    if (before !== undefined && goesOn)
      joined[joined.length - 1] = { ...before, operations: before.operations + leg.operations };
    else if (leg.operations > 0 || leg.killed) joined.push(leg);
  }
  return joined;
}

function showLeg({ participant, operations, outcome, killed }: Leg): string {
  if (killed) return `${participant}!`;
  return `${participant}${outcome > 0 ? `#${outcome}` : ''}${operations > 1 ? `*${operations}` : ''}`;
}

/** @throws Error when the text is not a schedule. */
export function decodeSchedule(text: string): Leg[] {
  return text.split(',').map((part) => {
    const match = /^(\d+)(?:(!)|(?:#(\d+))?(?:\*(\d+))?)$/.exec(part.trim());
    if (match === null) throw new Error(`"${part}" is not part of a schedule, such as 0*12, 1, 0! or 2#1`);
    const [, participant, killed, outcome = '0', operations = '1'] = match;
    return {
      participant: Number(participant),
      killed: killed !== undefined,
      outcome: Number(outcome),
      operations: killed === undefined ? Number(operations) : 0,
    };
  });
}

export interface Replay {
  /** One line for each operation. */
  readonly lines: readonly string[];
  /** What is wrong where it ends; null = nothing. */
  readonly message: string | null;
}

/** Performs a schedule operation by operation. */
export function replay(model: Model, schedule: string): Replay {
  const system = new System(model, new Sharing({ everything: true }));
  const lines: string[] = [];
  let message = system.violation();
  for (const { participant, operations, outcome, killed } of decodeSchedule(schedule)) {
    for (let i = 0; i < Math.max(operations, killed ? 1 : 0) && message === null; i += 1) {
      lines.push(step(system, participant, killed ? null : i === 0 ? outcome : 0));
      message = system.violation();
    }
  }
  return { lines, message: message ?? (canGoOn(system) ? null : system.finalViolation()) };
}

const canGoOn = (system: System): boolean =>
  system.participants.some((_, p) => system.edges(p, false).length + system.edges(p, true).length > 0);

function step(system: System, participant: number, outcome: number | null): string {
  const name = system.participants[participant]?.name ?? `participant ${participant}`;
  if (outcome === null) {
    system.apply({ participant, edge: null, outcome: 0 });
    return `${name} is killed`;
  }
  const choice = choiceOf(system, participant, outcome);
  const { operation, places } = system.node(participant);
  const before = places.map((place) => showValue(system.memory.valueAt(place)));
  system.apply(choice);
  const words = (operation?.words ?? []).map((address, i) => {
    const after = showValue(system.memory.valueAt(places[i] ?? 0));
    return `${system.space.nameOf(address)} ${before[i] === after ? after : `${before[i]} → ${after}`}`;
  });
  const gets = choice.edge === null || words.length === 1 ? '' : ` = ${showValue(choice.edge.result)}`;
  return `${name} ${operation?.label} ${words.join(', ')}${gets}`;
}

function choiceOf(system: System, participant: number, outcome: number): Choice {
  const edges = [...system.edges(participant, false), ...system.edges(participant, true)];
  const edge = edges[outcome];
  if (edge === undefined)
    throw new Error(`participant ${participant} has no outcome ${outcome} here; it waits, or is over`);
  return { participant, edge, outcome };
}
