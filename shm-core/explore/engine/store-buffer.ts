/**
 * The plain stores of one participant that nobody else can see yet, oldest first, as in the store buffer of an x86-64: each may become
 * visible at any time, in their order, and all are before the participant's next `Atomics` store. Its own loads see them.
 */
import { type PlainStore, ScriptOperation } from './operations.ts';
import { showValue, type Value } from './values.ts';

const KEEP = [{ result: 0, writes: [] }];
const KEEP_OR_DRAIN = [...KEEP, { result: 1, writes: [] }];

export class StoreBuffer {
  readonly #stores: PlainStore[] = [];

  get isEmpty(): boolean {
    return this.#stores.length === 0;
  }
  clear(): void {
    this.#stores.length = 0;
  }
  add(store: PlainStore): void {
    this.#stores.push(store);
  }
  /** The oldest, which is visible from now on. */
  drain(): PlainStore | undefined {
    return this.#stores.shift();
  }

  /** What the participant's own load of a word sees; undefined: nothing is buffered for it. */
  forwarded(address: number): Value | undefined {
    return this.#stores.findLast(({ words }) => words[0] === address)?.value;
  }

  /** Whether the oldest becomes visible before the load that comes next. `matters`: to anybody else. */
  choice(matters: boolean): ScriptOperation {
    return new ScriptOperation('drain?', [], { writes: false, visible: matters }, () =>
      matters ? KEEP_OR_DRAIN : KEEP,
    );
  }

  /** Whether somebody else knows one of the words. */
  someOf(shared: (address: number) => boolean): boolean {
    return this.#stores.some(({ words: [address = 0] }) => shared(address));
  }

  /** For the picture of the participant's state. */
  show(): string {
    return this.#stores.map(({ words, value }) => `${words[0]}:=${showValue(value)}`).join(' ');
  }
}
