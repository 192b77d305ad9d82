/**
 * `Atomics`, replaced while a participant runs: every operation on its segments goes to the explorer, every other one where it always
 * went. Invariant: the real functions are back when `withProbe` returns, however it returns.
 */
import type { AtomicKind } from './operations.ts';
import type { Value } from './values.ts';

type AtomicsFunction = (view: Int32Array | BigUint64Array, index: number, ...operands: Value[]) => Value;

const KINDS: readonly AtomicKind[] = ['load', 'store', 'add', 'sub', 'and', 'or', 'xor', 'exchange', 'compareExchange'];

/** @returns undefined when the view is none of the explorer's. */
export type Probe = (
  kind: AtomicKind,
  view: Int32Array | BigUint64Array,
  index: number,
  operands: readonly Value[],
) => Value | undefined;

const functions = Atomics as unknown as Record<AtomicKind, AtomicsFunction>;

export function withProbe<Result>(probe: Probe, run: () => Result): Result {
  const real = KINDS.map((kind) => [kind, functions[kind]] as const);
  try {
    for (const [kind, original] of real) {
      functions[kind] = (view, index, ...operands) =>
        probe(kind, view, index, operands) ?? original(view, index, ...operands);
    }
    return run();
  } finally {
    for (const [kind, original] of real) functions[kind] = original;
  }
}
