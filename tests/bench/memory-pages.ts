/** Creating, first touch and random access: each size with each kind of page, in another order in every round. The first round is not counted. */

import type { TouchResult, WalkResult } from './memory-figures.ts';
import { type Lab, Samples } from './memory-lab.ts';
import { distribution } from './memory-measure.ts';
import { KINDS, type Kind, type SizePlan } from './memory-plan.ts';
import { bytesText } from './memory-report.ts';
import type { Touched } from './memory-side.ts';

const NAME = 'bench/pages';

interface Place {
  readonly sizeBytes: number;
  readonly kind: Kind;
}
type Part = 'firstCreate' | 'create' | 'attach' | 'firstTouch' | 'secondTouch' | 'inOrder';

export interface PageResults {
  readonly touches: readonly TouchResult[];
  readonly walks: readonly WalkResult[];
}

export async function measurePages(lab: Lab): Promise<PageResults> {
  const results = [];
  for (const size of lab.plan.sizes) results.push(await new SizeRun(lab, size).run());
  return { touches: results.flatMap(({ touches }) => touches), walks: results.flatMap(({ walks }) => walks) };
}

class SizeRun {
  readonly #lab: Lab;
  readonly #size: SizePlan;
  readonly #touches = new Map<Kind, Record<Part, number[]>>();
  readonly #walks = new Samples<Place & { readonly setBytes: number }>();

  constructor(lab: Lab, size: SizePlan) {
    this.#lab = lab;
    this.#size = size;
  }

  async run(): Promise<PageResults> {
    const { sizeBytes, rounds } = this.#size;
    for (let round = 0; round <= rounds; round += 1) {
      for (const kind of orderOf(round)) {
        const what = `${kind}, ${bytesText(sizeBytes)}`;
        await this.#lab.attempt(what, kind, sizeBytes, () => this.#measure(kind, round > 0));
      }
    }
    return { touches: this.#touchResults(), walks: this.#walkResults() };
  }

  async #measure(kind: Kind, counted: boolean): Promise<void> {
    const { creator, user, plan } = this.#lab;
    const { sizeBytes, workingSets } = this.#size;
    const firstCreateNs = await this.#lab.warmUp(NAME, sizeBytes, kind);
    const { tookNs: createNs } = await this.#lab.create(NAME, sizeBytes, kind);
    try {
      const touched = await user.ask<Touched>({ do: 'touch', name: NAME });
      if (counted) this.#add(kind, { ...touched, firstCreateNs, createNs });
      const { perBatch: reads, batches } = plan.reads;
      for (const setBytes of workingSets) {
        const perReadNs = await user.ask<number[]>({ do: 'walk', plan: { setBytes, reads, batches } });
        if (counted) this.#walks.add({ sizeBytes, setBytes, kind }, ...perReadNs);
      }
    } finally {
      await user.ask({ do: 'detach' });
      await creator.ask({ do: 'delete', name: NAME });
    }
  }

  #add(kind: Kind, times: Touched & { readonly firstCreateNs: number; readonly createNs: number }): void {
    const known = this.#touches.get(kind) ?? emptyParts();
    this.#touches.set(kind, known);
    known.firstCreate.push(times.firstCreateNs);
    known.create.push(times.createNs);
    known.attach.push(times.attachNs);
    known.firstTouch.push(times.firstNs);
    known.secondTouch.push(times.secondNs);
    known.inOrder.push(times.inOrderNs);
  }

  #touchResults(): TouchResult[] {
    const { sizeBytes } = this.#size;
    return KINDS.flatMap((kind) => {
      const samples = this.#touches.get(kind);
      if (samples === undefined) return [];
      return [
        {
          kind,
          sizeBytes,
          firstCreate: distribution(samples.firstCreate),
          create: distribution(samples.create),
          attach: distribution(samples.attach),
          firstTouch: distribution(samples.firstTouch),
          secondTouch: distribution(samples.secondTouch),
          inOrder: distribution(samples.inOrder),
        },
      ];
    });
  }

  #walkResults(): WalkResult[] {
    const results = this.#walks.map((key, perReadNs) => ({ ...key, read: distribution(perReadNs) }));
    const rank = ({ setBytes, kind }: WalkResult): number => setBytes * KINDS.length + KINDS.indexOf(kind);
    return results.sort((a, b) => rank(a) - rank(b));
  }
}

/** Forwards and backwards in turn, so that none always follows the same one. */
function orderOf(round: number): readonly Kind[] {
  return round % 2 === 0 ? KINDS : [...KINDS].reverse();
}

const emptyParts = (): Record<Part, number[]> => ({
  firstCreate: [],
  create: [],
  attach: [],
  firstTouch: [],
  secondTouch: [],
  inOrder: [],
});
