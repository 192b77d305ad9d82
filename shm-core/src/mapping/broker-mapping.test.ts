/** Making a mapping smaller when the system refuses: what is said to be there is what is there. */
import { describe, expect, it, vi } from 'vitest';
import { OsError, type ResidentPart } from '../os/os.ts';
import { SegmentAllocator } from '../segment/allocate-segment.ts';
import { SpyOs } from '../segment/testing/spy-os.ts';
import { BrokerMapping } from './broker-mapping.ts';

const PAGE = 4096;

/** A locked mapping of three pages, whose resident part can be made to refuse. */
async function bench() {
  const os = new SpyOs();
  const refusal: { of: keyof ResidentPart | null } = { of: null };
  const unless = (call: keyof ResidentPart) => async () => {
    if (refusal.of === call) throw new OsError(call, 12, 'ENOMEM');
  };
  os.keepResident = () => ({
    extendTo: unless('extendTo'),
    reduceTo: unless('reduceTo'),
    release: unless('release'),
  });
  const mapping = await BrokerMapping.create(os, new SegmentAllocator(os), {
    id: 1n,
    label: 'test',
    payloadBytes: 3 * PAGE,
    locked: true,
    pages: 'never',
    maxParticipants: 2,
    brokerBell: new Uint8Array(16),
    admit: () => undefined,
  });
  const sizes = () => ({ granted: mapping.grant.payloadBytes, said: Number(mapping.lock.committedBytes) });
  return { os, mapping, refusal, sizes };
}

describe('a mapping that cannot be made smaller', () => {
  it('is said to be as large as before when its memory cannot be unlocked', async () => {
    const { mapping, refusal, sizes } = await bench();
    refusal.of = 'reduceTo';
    await expect(mapping.shrink(PAGE, () => undefined)).rejects.toMatchObject({ call: 'reduceTo' });
    expect(sizes()).toEqual({ granted: 3 * PAGE, said: 3 * PAGE });
    refusal.of = null;
    await mapping.shrink(PAGE, () => undefined);
    expect(sizes()).toEqual({ granted: PAGE, said: PAGE });
  });

  it('is said to have what could not be given back, even when that cannot be locked again', async () => {
    const { os, mapping, refusal, sizes } = await bench();
    os.discard = async () => {
      refusal.of = 'extendTo';
      throw new OsError('fallocate', 1, 'EPERM');
    };
    await expect(mapping.shrink(PAGE, () => undefined)).rejects.toBeInstanceOf(OsError);
    expect(sizes()).toEqual({ granted: 3 * PAGE, said: 3 * PAGE });
  });

  it('is not touched any more when it was closed meanwhile', async () => {
    const { mapping, refusal } = await bench();
    refusal.of = 'reduceTo';
    const shrinking = mapping.shrink(PAGE, () => undefined);
    mapping.close();
    const commit = vi.spyOn(mapping.lock, 'commit');
    await expect(shrinking).rejects.toMatchObject({ call: 'reduceTo' });
    expect(commit).not.toHaveBeenCalled();
  });
});
