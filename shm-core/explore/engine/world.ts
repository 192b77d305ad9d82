/**
 * What a script can do besides running the code under test: steps on ghost words, waiting, choosing, and the marks by which the explorer
 * tells where it is. A script is deterministic and synchronous, and keeps no state outside of itself.
 */
import type { MappedRange } from '../../src/os/os.ts';
import type { AddressSpace, WordRef } from './address-space.ts';
import { type Operation, type Outcome, PlainLoad, ScriptOperation } from './operations.ts';
import type { Value } from './values.ts';

/** What the explorer does for a running script. */
export interface WorldPorts {
  readonly space: AddressSpace;
  readonly perform: (operation: Operation) => Value;
  readonly range: (segment: string) => MappedRange;
  readonly checkpoint: (state: unknown, report: unknown) => void;
  readonly beginCall: (name: string, stepsMax: number) => void;
  readonly endCall: () => void;
}

/** The code under test, or its script, did what it must not. */
export class ViolationError extends Error {
  override readonly name = 'ViolationError';
}

export class World {
  readonly #ports: WorldPorts;

  constructor(ports: WorldPorts) {
    this.#ports = ports;
  }

  /** A segment as this participant has mapped it. */
  range(segment: string): MappedRange {
    return this.#ports.range(segment);
  }

  load(ghost: string): number {
    return Number(this.#one('load', ghost, { writes: false }, (old) => [{ result: old, writes: [undefined] }]));
  }
  /** As code reads what nobody changes meanwhile: a change before this participant's next `Atomics` store is a fault. */
  loadStable(ghost: string): number {
    return Number(this.#ports.perform(new PlainLoad(this.#ports.space.resolve(ghost))));
  }
  store(ghost: string, value: Value): void {
    this.#one(`store ${value}`, ghost, { writes: true }, () => [{ result: value, writes: [value] }]);
  }
  /** @returns the value before. */
  add(ghost: string, by: number): number {
    return Number(
      this.#one(`add ${by}`, ghost, { writes: true }, (old) => [{ result: old, writes: [Number(old) + by] }]),
    );
  }

  /** Waits until the ghost word is not 0; takes what it holds and leaves 0. A doorbell, an inbox. */
  take(ghost: string): Value {
    return this.#one('take', ghost, { writes: true, visible: true }, (old) =>
      old === 0 ? [] : [{ result: old, writes: [0] }],
    );
  }
  /** Waits until the ghost word is not 0. */
  await(ghost: string): Value {
    return this.#one('await', ghost, { writes: false, visible: true }, (old) =>
      old === 0 ? [] : [{ result: old, writes: [undefined] }],
    );
  }
  /** Each of 0 … n − 1 is explored. */
  choose(label: string, n: number): number {
    const outcomes = Array.from({ length: n }, (_, result) => ({ result, writes: [] }));
    return Number(
      this.#ports.perform(new ScriptOperation(`choose ${label}`, [], { writes: false, visible: true }, () => outcomes)),
    );
  }
  /** One indivisible step on several words. No outcome: it waits; several: each is explored. `apply` may `assert`. */
  atomically(
    label: string,
    words: readonly WordRef[],
    apply: (values: readonly Value[]) => readonly Outcome[] | Outcome,
  ): Value {
    const addresses = words.map((word) => this.#ports.space.resolve(word));
    const several = (values: readonly Value[]): readonly Outcome[] => {
      try {
        const outcomes = apply(values);
        return 'result' in outcomes ? [outcomes] : outcomes;
      } catch (error) {
        if (!(error instanceof ViolationError)) throw error;
        return [{ result: 0, writes: [], violation: error.message }];
      }
    };
    return this.#ports.perform(new ScriptOperation(label, addresses, { writes: true, visible: true }, several));
  }

  /**
   * Says that all this participant's state is in `state`: it will go on in the same way as from any other place with an equal one. `report`
   * is what the case's checks are told of a participant that came this far and no farther.
   */
  checkpoint(state: unknown, report: unknown = null): void {
    this.#ports.checkpoint(state, report);
  }

  /** Runs one call of the code under test, which must come to its end within so many operations. */
  call<Result>(name: string, stepsMax: number, run: () => Result): Result {
    this.#ports.beginCall(name, stepsMax);
    const result = run();
    this.#ports.endCall();
    return result;
  }

  assert(condition: boolean, message: string): asserts condition {
    if (!condition) throw new ViolationError(message);
  }

  #one(
    label: string,
    ghost: string,
    traits: { writes: boolean; visible?: boolean },
    apply: (old: Value) => readonly Outcome[],
  ): Value {
    const address = this.#ports.space.resolve(ghost);
    return this.#ports.perform(new ScriptOperation(label, [address], traits, ([old = 0]) => apply(old)));
  }
}
