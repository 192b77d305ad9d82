/**
 * What a participant can ask of the memory: the `Atomics` operations of the code under test, and those of its script on ghost words. An
 * operation is one indivisible step. It says what may come of it for given values of its words; nothing may come of it: it waits.
 */
import { showValue, type Value } from './values.ts';

export interface Outcome {
  /** What the participant gets. */
  readonly result: Value;
  /** The new value of each word, in their order; undefined = as it was. */
  readonly writes: readonly (Value | undefined)[];
  /** Comes about only when nobody else can go on: the passing of time that is long for everybody. */
  readonly idle?: boolean;
  /** What is wrong when it comes to this. */
  readonly violation?: string;
}

export interface Operation {
  readonly label: string;
  readonly words: readonly number[];
  /** Whether it may ever write. */
  readonly writes: boolean;
  /** Always a point where others may come in between, whoever else knows its words: it can wait, or several things can come of it. */
  readonly visible: boolean;
  outcomes(values: readonly Value[]): readonly Outcome[];
}

export type AtomicKind = 'load' | 'store' | 'add' | 'sub' | 'and' | 'or' | 'xor' | 'exchange' | 'compareExchange';
/** The accesses of `layout/control-words.ts` that are no `Atomics` operations. */
export type PlainKind = 'storeAhead' | 'loadStable';

const wrap = (value: Value): Value => (typeof value === 'number' ? value | 0 : BigInt.asUintN(64, value));

function combine(kind: AtomicKind, old: Value, operand: Value): Value {
  if (kind === 'store' || kind === 'exchange') return wrap(operand);
  if (typeof old === 'bigint' && typeof operand === 'bigint') return wrap(combineWide(kind, old, operand));
  if (typeof old === 'number' && typeof operand === 'number') return wrap(combineNarrow(kind, old, operand));
  throw new TypeError(`Atomics.${kind}: ${typeof operand} on a word that holds a ${typeof old}`);
}

function combineNarrow(kind: AtomicKind, old: number, operand: number): number {
  if (kind === 'add') return old + operand;
  if (kind === 'sub') return old - operand;
  if (kind === 'and') return old & operand;
  return kind === 'or' ? old | operand : old ^ operand;
}

function combineWide(kind: AtomicKind, old: bigint, operand: bigint): bigint {
  if (kind === 'add') return old + operand;
  if (kind === 'sub') return old - operand;
  if (kind === 'and') return old & operand;
  return kind === 'or' ? old | operand : old ^ operand;
}

/** A store that waits in the store buffer, as on x86-64. */
export class PlainStore implements Operation {
  readonly words: readonly number[];
  readonly visible = false;
  readonly writes = true;
  readonly value: Value;

  constructor(address: number, value: Value) {
    this.words = [address];
    this.value = wrap(value);
  }
  get label(): string {
    return `plain store ${showValue(this.value)}`;
  }
  outcomes(): readonly Outcome[] {
    return [{ result: this.value, writes: [this.value] }];
  }
}

/** A load of what nobody else may change before the participant's next `Atomics` store. */
export class PlainLoad implements Operation {
  readonly words: readonly number[];
  readonly visible = false;
  readonly writes = false;
  readonly label = 'plain load';

  constructor(address: number) {
    this.words = [address];
  }
  outcomes([old = 0]: readonly Value[]): readonly Outcome[] {
    return [{ result: old, writes: [undefined] }];
  }
}

/** One call of `Atomics`. `operands`: what came after the index. */
export class AtomicOperation implements Operation {
  readonly words: readonly number[];
  readonly visible = false;
  readonly #kind: AtomicKind;
  readonly #first: Value;
  readonly #second: Value;

  constructor(kind: AtomicKind, address: number, operands: readonly Value[]) {
    this.#kind = kind;
    this.words = [address];
    this.#first = operands[0] ?? 0;
    this.#second = operands[1] ?? 0;
  }

  get writes(): boolean {
    return this.#kind !== 'load';
  }
  get label(): string {
    if (this.#kind === 'load') return 'load';
    if (this.#kind === 'compareExchange') return `cas ${showValue(this.#first)} → ${showValue(this.#second)}`;
    return `${this.#kind} ${showValue(this.#first)}`;
  }

  outcomes([old = 0]: readonly Value[]): readonly Outcome[] {
    if (this.#kind === 'load') return [{ result: old, writes: [undefined] }];
    if (this.#kind === 'compareExchange') {
      const hit = old === wrap(this.#first);
      return [{ result: old, writes: [hit ? wrap(this.#second) : undefined] }];
    }
    const next = combine(this.#kind, old, this.#first);
    return [{ result: this.#kind === 'store' ? next : old, writes: [next] }];
  }
}

/** A step of a script on ghost words, or on several words at once. */
export class ScriptOperation implements Operation {
  readonly label: string;
  readonly words: readonly number[];
  readonly writes: boolean;
  readonly visible: boolean;
  readonly #apply: (values: readonly Value[]) => readonly Outcome[];

  constructor(
    label: string,
    words: readonly number[],
    traits: { writes: boolean; visible?: boolean },
    apply: (values: readonly Value[]) => readonly Outcome[],
  ) {
    this.label = label;
    this.words = words;
    this.writes = traits.writes;
    this.visible = traits.visible ?? false;
    this.#apply = apply;
  }

  outcomes(values: readonly Value[]): readonly Outcome[] {
    return this.#apply(values);
  }
}
