/** Views whose memory somebody has taken away: nobody may ever be given their addresses. */
import { describe, expect, it } from 'vitest';
import type { MappedRange } from '../os/os.ts';
import { channelGeometry } from './geometry.ts';
import { SlotViews, type ViewMode } from './slot-views.ts';

/** As much of a range as views need. */
function rangeOf() {
  let keptFromReuse = 0;
  const range: Partial<MappedRange> = {
    transferable: true,
    view: (_offset, length) => new ArrayBuffer(length),
    keepFromReuse: () => {
      keptFromReuse += 1;
    },
  };
  return { range: range as MappedRange, keptFromReuse: () => keptFromReuse };
}

function openViews(mode: ViewMode) {
  const { range, keptFromReuse } = rangeOf();
  const geometry = channelGeometry({ slots: 3, slotBytes: 64, maxLoans: 1, block: false });
  return { views: new SlotViews(range, geometry, mode), keptFromReuse };
}

describe.each(['fenced', 'persistent'] as const)('a %s view', (mode) => {
  it.each([64, 1, 0])('of %d B that was transferred is found when it is closed', (length) => {
    const { views, keptFromReuse } = openViews(mode);
    views.open(0, length)?.buffer.transfer();
    expect([views.isStolen(0), views.close(0), keptFromReuse()]).toEqual([true, false, 1]);
  });

  it.each([64, 1, 0])('of %d B that nobody touched is closed, and opened again at any length', (length) => {
    const { views, keptFromReuse } = openViews(mode);
    for (const next of [length, 64, 0, length, 0]) {
      expect([views.open(0, next)?.length, views.isStolen(0), views.close(0)]).toEqual([next, false, true]);
    }
    expect(keptFromReuse()).toBe(0);
  });
});
