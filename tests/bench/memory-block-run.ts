/** Blocks of one size from everywhere, in turn, asked of one process. The first round is not counted. */

import { BLOCK_IDS, BLOCKS, type BlockId, type BlockResult, type BlockTimes } from './memory-figures.ts';
import { type Lab, Samples } from './memory-lab.ts';
import { distribution } from './memory-measure.ts';
import { bytesText } from './memory-report.ts';

export async function measureBlocks(lab: Lab): Promise<BlockResult[]> {
  const { rounds, sizeBytes } = lab.plan.blocks;
  const samples = new Samples<{ readonly id: BlockId; readonly part: 'had' | 'touched' }>();
  for (let round = 0; round <= rounds; round += 1) {
    for (const id of BLOCK_IDS) {
      const what = `${id}, a block of ${bytesText(sizeBytes)}`;
      const ask = async (): Promise<BlockTimes> => {
        const question = { do: 'block', id, sizeBytes } as const;
        // As `warmUp` of the lab.
        await lab.user.ask<BlockTimes>(question);
        return lab.user.ask<BlockTimes>(question);
      };
      const times = await lab.attempt(what, BLOCKS[id].kind ?? 'base', sizeBytes, ask);
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
