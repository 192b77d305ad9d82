/** Blocks of one size from everywhere, in turn, asked of one process. The first round is not counted. */

import { distribution } from './measure.ts';
import { BLOCK_IDS, type BlockId, type BlockResult, type BlockTimes } from './memory-figures.ts';
import { type Lab, Samples } from './memory-lab.ts';
import type { Kind } from './memory-plan.ts';
import { bytesText } from './memory-report.ts';

/** The pages of which there must be enough, and none of the others. */
const kindOf = (id: BlockId): Kind => (id === 'transparent-2m' || id === 'hugetlb-2m' ? id : 'base');

export async function measureBlocks(lab: Lab): Promise<BlockResult[]> {
  const { rounds, sizeBytes } = lab.plan.blocks;
  const samples = new Samples<{ readonly id: BlockId; readonly part: 'had' | 'touched' }>();
  for (let round = 0; round <= rounds; round += 1) {
    for (const id of BLOCK_IDS) {
      const what = `${id}, a block of ${bytesText(sizeBytes)}`;
      const ask = (): Promise<BlockTimes> => lab.user.ask<BlockTimes>({ do: 'block', id, sizeBytes });
      const times = await lab.attempt(what, kindOf(id), sizeBytes, ask);
      if (times === null || round === 0) continue;
      samples.add({ id, part: 'had' }, times.hadNs);
      samples.add({ id, part: 'touched' }, times.touchedNs);
    }
  }
  return BLOCK_IDS.flatMap((id) => {
    const had = samples.of({ id, part: 'had' });
    const touched = samples.of({ id, part: 'touched' });
    return had.length === 0 ? [] : [{ id, had: distribution(had), touched: distribution(touched) }];
  });
}
