/** A case by name, for the tests and the command. */
import type { CodeUnderTest } from '../code-under-test.ts';
import type { Model } from '../engine/case.ts';

export interface ExplorerCase {
  readonly name: string;
  readonly title: string;
  /** Preemptions to which it is explored in every run of the tests; Infinity = every interleaving. */
  readonly ciBound: number;
  readonly model: (code: CodeUnderTest) => Model;
}
