// Making a mapping of large pages smaller while somebody who lost a lease may still be at it.
import { describe, expect, it } from 'vitest';
import { releaseLease } from './lease-operations.ts';
import { code, settled } from './testing/channel-world.ts';
import { attach, lease, resize, type Scene, scene } from './testing/resizes.ts';

const LOST = 5n;

async function withLostLease() {
  const here = await scene({ largePages: true });
  const lessee = here.world.open();
  const holdId = await lease(here);
  const attachment = await attach(here, lessee, true);
  attachment.lostHold = LOST;
  const resizing = resize(here, 1, { holdId });
  resizing.catch(() => undefined);
  await settled();
  return { here, lessee, resizing };
}

const later = async ({ world }: Scene): Promise<void> => {
  world.clock.advance(50);
  await settled();
};

describe('a shrink of large pages', () => {
  it('waits until whoever lost a lease says that it is done', async () => {
    const { here, lessee, resizing } = await withLostLease();
    await later(here);
    expect(here.memory.grant.payloadBytes).toBe(5000);
    // Whatever the broker still knows of that lease.
    expect(() =>
      releaseLease(here.world.core, lessee, { mappingId: here.owned.id, holdId: LOST }, { markClean: false }),
    ).toThrow(code('LEASE_NOT_FOUND'));
    await later(here);
    await resizing;
    expect(here.memory.grant.payloadBytes).toBe(1);
  });

  it('gives up when nobody says so, and leaves the size', async () => {
    const { here, resizing } = await withLostLease();
    for (let look = 1; look < 40; look += 1) await later(here);
    await expect(resizing).rejects.toThrow(code('INVALID_STATE'));
    expect(here.memory.grant.payloadBytes).toBe(5000);
  });

  it('touches nothing of a mapping that was deleted while it waited', async () => {
    const { here, lessee, resizing } = await withLostLease();
    here.world.core.deleteMapping(here.owned);
    here.world.core.endSession(lessee, true);
    await later(here);
    await expect(resizing).rejects.toThrow(code('MAPPING_DELETED'));
    expect(here.memory.grant.payloadBytes).toBe(5000);
  });
});
