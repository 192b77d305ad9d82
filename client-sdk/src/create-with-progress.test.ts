/** A creation that its caller ends, and when: nothing of it may be left under the name. */
import { describe, expect, it } from 'vitest';
import { createWithProgress } from './create-with-progress.ts';
import type { Session } from './session.ts';

const TOTAL = 200;

/** A broker that tells progress as given, has made the mapping then, and is asked to delete it. */
function bench({ progress, created = true }: { readonly progress: readonly number[]; readonly created?: boolean }) {
  const deleted: string[] = [];
  const mappings = {
    async *createMappingWithProgress() {
      for (const populatedBytes of progress) {
        const value = { populatedBytes: BigInt(populatedBytes), totalBytes: BigInt(TOTAL) };
        yield { message: { case: 'progress', value } };
      }
      yield { message: { case: 'created', value: { created, mapping: { name: 'm' } } } };
    },
    deleteMapping: async ({ name }: { name: string }) => void deleted.push(name),
  };
  const session = { mappings, call: () => ({}) } as unknown as Session;
  const create = (onProgress: (populatedBytes: number) => void, signal?: AbortSignal) =>
    createWithProgress(session, { name: 'm' }, { signal, onProgress: (now) => onProgress(now.populatedBytes) });
  return { create, deleted };
}

describe('creating with progress', () => {
  it('tells every step, the last one too', async () => {
    const { create, deleted } = bench({ progress: [64, 128, TOTAL] });
    const told: number[] = [];
    await expect(create((now) => void told.push(now))).resolves.toMatchObject({ created: true });
    expect(told).toEqual([64, 128, TOTAL]);
    expect(deleted).toEqual([]);
  });

  it('that is ended at its last step, when all of it is made, leaves nothing under the name', async () => {
    const failing = bench({ progress: [TOTAL] });
    const thrown = failing.create(() => {
      throw new Error('enough');
    });
    await expect(thrown).rejects.toThrow('enough');
    expect(failing.deleted).toEqual(['m']);
    const aborting = bench({ progress: [64, TOTAL] });
    const abort = new AbortController();
    const aborted = aborting.create((now) => now === TOTAL && abort.abort(), abort.signal);
    await expect(aborted).rejects.toMatchObject({ code: 'ABORTED' });
    expect(aborting.deleted).toEqual(['m']);
  });

  it('deletes nothing that was there before', async () => {
    const { create, deleted } = bench({ progress: [TOTAL], created: false });
    const thrown = create(() => {
      throw new Error('enough');
    });
    await expect(thrown).rejects.toThrow('enough');
    expect(deleted).toEqual([]);
  });
});
