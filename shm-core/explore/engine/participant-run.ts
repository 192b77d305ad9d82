/**
 * Runs a participant from its start against the results of the operations it has performed so far, up to the first one that has no result
 * yet. There it is stopped by an exception, and the operation is what the scheduler can choose. Invariant: the same record leads to
 * the same operation.
 */
import type { AddressSpace } from './address-space.ts';
import { withProbe } from './atomics-probe.ts';
import { fingerprint } from './fingerprint.ts';
import { AtomicOperation, type Operation, PlainLoad, PlainStore } from './operations.ts';
import { Scratch } from './scratch.ts';
import type { Sharing } from './sharing.ts';
import { StoreBuffer } from './store-buffer.ts';
import { showValue, type Value } from './values.ts';
import { ViolationError, World } from './world.ts';

export type Script = (world: World) => unknown;

/** Where a run stopped. */
export interface Stop {
  /** What it would do next; null when it has finished, or failed. */
  readonly operation: Operation | null;
  /** What the case's checks are told: the script's result, or what it said at its last checkpoint. */
  readonly report: unknown;
  readonly failure: string | null;
  /** Operations since the last recorded result that are no steps. */
  readonly unseen: number;
  /** Words that nobody else may change now: it has loaded them plainly, and stored nothing atomically since. */
  readonly stable: readonly number[];
  /** Its whole state, when it has said so since the last recorded result; else null. */
  readonly state: string | null;
}

/** One that was performed without being a step, for a replay to show. */
export type Watch = (operation: Operation, before: readonly Value[], result: Value) => void;

const IDLE_ROUNDS_MAX = 100;

class Suspended extends Error {
  override readonly name = 'Suspended';
}

export class ParticipantRun {
  readonly #space: AddressSpace;
  readonly #sharing: Sharing;
  readonly #index: number;
  readonly #script: Script;
  readonly #scratch: Scratch;
  readonly #world: World;
  /** Thrown and never made anew: a stack trace would cost more than the run. */
  readonly #suspended = new Suspended('the participant waits to be scheduled');

  #results: readonly Value[] = [];
  #expected: readonly Operation[] = [];
  #position = 0;
  /** Words that nobody else can tell anything by. */
  readonly #own = new Map<number, Value>();
  readonly #stores = new StoreBuffer();
  readonly #stable = new Set<number>();
  #pending: Operation | null = null;
  #unseen = 0;
  #state: string | null = null;
  #report: unknown = null;
  #call: { name: string; left: number } | null = null;
  /** Checkpoints since the last operation. */
  #idleRounds = 0;

  constructor(space: AddressSpace, sharing: Sharing, participant: { index: number; script: Script }) {
    this.#space = space;
    this.#sharing = sharing;
    this.#index = participant.index;
    this.#script = participant.script;
    this.#scratch = new Scratch(space);
    this.#world = new World({
      space,
      perform: (operation) => this.#perform(operation),
      range: (segment) => this.#scratch.range(segment),
      checkpoint: (state, report) => this.#checkpoint(state, report),
      beginCall: (name, stepsMax) => {
        this.#call = { name, left: stepsMax };
      },
      endCall: () => {
        this.#call = null;
      },
    });
  }

  /** `expected`: the operations that `results` are of. */
  run(results: readonly Value[], expected: readonly Operation[]): Stop {
    this.#results = results;
    this.#expected = expected;
    this.#position = 0;
    this.#pending = null;
    this.#unseen = 0;
    this.#state = null;
    this.#report = null;
    this.#call = null;
    this.#idleRounds = 0;
    this.#own.clear();
    this.#stores.clear();
    this.#stable.clear();
    this.#scratch.reset();
    let failure: string | null = null;
    try {
      const outcome = withProbe(
        (kind, view, index, operands) => {
          const segment = this.#scratch.segmentOf(view.buffer);
          if (segment === undefined) return undefined;
          const bytes = view.BYTES_PER_ELEMENT === 8 ? 8 : 4;
          const address = this.#space.addressOf(segment, view.byteOffset + index * bytes, bytes);
          if (kind === 'storeAhead') return this.#store(new PlainStore(address, operands[0] ?? 0));
          if (kind === 'loadStable') return this.#perform(new PlainLoad(address));
          return this.#perform(new AtomicOperation(kind, address, operands));
        },
        () => {
          const result = this.#script(this.#world);
          this.#drain();
          return result;
        },
      );
      if (this.#pending === null) {
        this.#stable.clear();
        this.#report = outcome;
        this.#state = `finished ${fingerprint(outcome, this.#scratch)}`;
      } else failure = 'the code under test swallowed the exception that suspends it';
    } catch (error) {
      if (error !== this.#suspended) failure = describe(error);
    }
    const stored = this.#scratch.plainStore();
    if (stored !== null) failure = `${stored} was stored to without Atomics`;
    return {
      operation: failure === null ? this.#pending : null,
      report: this.#report,
      failure,
      unseen: this.#unseen,
      stable: [...this.#stable],
      state: failure === null ? this.#state : null,
    };
  }

  #store(store: PlainStore): Value {
    if (this.#pending !== null) throw this.#suspended;
    this.#countStep();
    this.#stores.add(store);
    return store.value;
  }

  #perform(operation: Operation): Value {
    if (this.#pending !== null) throw this.#suspended;
    this.#countStep();
    if (operation.visible || operation.writes) this.#drain();
    const [address] = operation.words;
    const own = address === undefined ? undefined : this.#stores.forwarded(address);
    if (own !== undefined) return own;
    this.#drainSome(operation);
    return this.#performNow(operation);
  }

  #drain(): void {
    for (let store = this.#stores.drain(); store !== undefined; store = this.#stores.drain()) this.#performNow(store);
  }

  /** Before a load: none, some or all of the stores that are buffered become visible. */
  #drainSome(load: Operation): void {
    const shared = (address: number): boolean => this.#sharing.isShared(address);
    while (!this.#stores.isEmpty) {
      const matters = load.words.some(shared) && this.#stores.someOf(shared);
      if (this.#performNow(this.#stores.choice(matters)) === 0) return;
      const oldest = this.#stores.drain();
      if (oldest !== undefined) this.#performNow(oldest);
    }
  }

  #performNow(operation: Operation): Value {
    this.#idleRounds = 0;
    const step = this.#sharing.note(operation, this.#index);
    const result = step ? this.#performStep(operation) : this.#performUnseen(operation);
    if (operation instanceof AtomicOperation && operation.writes) this.#stable.clear();
    if (step && operation instanceof PlainLoad) for (const address of operation.words) this.#stable.add(address);
    return result;
  }

  #performStep(operation: Operation): Value {
    if (this.#position === this.#results.length) {
      this.#pending = operation;
      throw this.#suspended;
    }
    this.#checkRepetition(operation);
    const result = this.#results[this.#position] ?? 0;
    this.#position += 1;
    this.#unseen = 0;
    this.#state = null;
    return result;
  }

  #countStep(): void {
    if (this.#call === null) return;
    this.#call.left -= 1;
    if (this.#call.left < 0) throw new ViolationError(`${this.#call.name}: more operations than its bound`);
  }

  #performUnseen(operation: Operation): Value {
    const before = operation.words.map((address) => this.#own.get(address) ?? this.#space.initialOf(address));
    const [outcome] = operation.outcomes(before);
    if (outcome === undefined) throw new Error(`${operation.label} waits, and is not marked as a step`);
    operation.words.forEach((address, i) => {
      const next = outcome.writes[i];
      if (next !== undefined) this.#own.set(address, next);
    });
    this.#unseen += 1;
    return outcome.result;
  }

  #checkRepetition(operation: Operation): void {
    const before = this.#expected[this.#position];
    if (before === undefined || (before.label === operation.label && before.words[0] === operation.words[0])) return;
    const show = ({ label, words }: Operation): string =>
      `${label} ${words.map((w) => this.#space.nameOf(w)).join(' ')}`;
    const both = [show(before), show(operation)].sort();
    throw new ViolationError(
      `from the same results came both "${both.join('" and "')}": a control word was loaded without Atomics, or the script is not deterministic`,
    );
  }

  #checkpoint(state: unknown, report: unknown): void {
    if (this.#pending !== null) throw this.#suspended;
    this.#idleRounds += 1;
    if (this.#idleRounds > IDLE_ROUNDS_MAX) throw new ViolationError('it goes round and round and touches no word');
    this.#report = report;
    if (this.#position < this.#results.length) return;
    const own = [...this.#own].sort(([a], [b]) => a - b).map(([address, value]) => `${address}=${showValue(value)}`);
    const stable = [...this.#stable].sort((a, b) => a - b);
    this.#state = `${fingerprint([state, report], this.#scratch)} ${own.join(' ')} ${this.#stores.show()} ${stable} ${this.#scratch.digest()}`;
  }
}

function describe(error: unknown): string {
  if (error instanceof ViolationError) return error.message;
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
