/**
 * `Atomics`, replaced while a participant runs: every operation on its segments goes to the explorer, every other one where it always
 * went. The plain accesses of the code under test come here too, under names that `Atomics` does not have (see code-under-test.ts).
 * Invariant: the real functions are back when `withProbe` returns, however it returns.
 */
import type { AtomicKind, PlainKind } from './operations.ts';
import type { Value } from './values.ts';

type AtomicsFunction = (view: Int32Array | BigUint64Array, index: number, ...operands: Value[]) => Value;

const KINDS: readonly AtomicKind[] = ['load', 'store', 'add', 'sub', 'and', 'or', 'xor', 'exchange', 'compareExchange'];

/** @returns undefined when the view is none of the explorer's. */
export type Probe = (
  kind: AtomicKind | PlainKind,
  view: Int32Array | BigUint64Array,
  index: number,
  operands: readonly Value[],
) => Value | undefined;

/** What each plain access is where nobody explores, and on memory that is none of the explorer's. */
const PLAIN_KINDS: readonly (readonly [PlainKind, AtomicKind])[] = [
  ['storeAhead', 'store'],
  ['loadStable', 'load'],
];

const functions = Atomics as unknown as Record<AtomicKind | PlainKind, AtomicsFunction | undefined>;

export function withProbe<Result>(probe: Probe, run: () => Result): Result {
  const real = KINDS.map((kind) => [kind, functions[kind] as AtomicsFunction] as const);
  const plain = PLAIN_KINDS.map(([kind, like]) => [kind, functions[like] as AtomicsFunction] as const);
  try {
    for (const [kind, original] of [...real, ...plain]) {
      functions[kind] = (view, index, ...operands) =>
        probe(kind, view, index, operands) ?? original(view, index, ...operands);
    }
    return run();
  } finally {
    for (const [kind, original] of real) functions[kind] = original;
    for (const [kind] of plain) delete functions[kind];
  }
}
