/** Changes of size one after the other, and what may happen while one is on its way. */
import { LeaseholdError } from '@leasehold/proto';
import { OsError } from '@leasehold/shm-core/internal';
import { describe, expect, it } from 'vitest';
import { deleteMapping, detachMapping } from './mapping-operations.ts';
import { code, settled } from './testing/channel-world.ts';
import { attach, grown, hold, lease, PAGE, resize, scene, state, untouched } from './testing/resizes.ts';

const CONTROL = PAGE;

describe('changes of size', () => {
  it('happen in the order in which they were asked for, each after the one before', async () => {
    const here = await scene();
    const begun: number[] = [];
    const grow = here.memory.grow.bind(here.memory);
    here.memory.grow = (payloadBytes, signal) => {
      begun.push(payloadBytes / PAGE);
      return grow(payloadBytes, signal);
    };
    const held = hold(here.memory);
    const all = [4, 7, 5].map((pages) => resize(here, pages * PAGE, { onlyGrow: true }));
    await settled();
    expect(begun).toEqual([4]);
    held.goOn();
    await Promise.all(all);
    // Five are fewer than there are when its turn comes.
    expect(begun).toEqual([4, 7]);
    expect(state(here)).toEqual(grown(7 * PAGE));
  });

  it('that fail hold nobody up', async () => {
    const here = await scene();
    const held = hold(here.memory);
    const first = expect(resize(here, 4 * PAGE)).rejects.toThrow(code('OUT_OF_MEMORY'));
    const second = resize(here, 3 * PAGE);
    await settled();
    here.memory.resizing = Promise.resolve();
    held.fail(new OsError('posix_fallocate', 12, 'ENOMEM'));
    await first;
    await second;
    expect(state(here)).toEqual(grown(3 * PAGE));
  });

  it.each(['running', 'waiting', 'not begun'] as const)(
    'that are cancelled while %s change nothing, and cost nothing',
    async (when) => {
      const here = await scene();
      const cancel = new AbortController();
      const held = hold(here.memory);
      const before = when === 'waiting' ? resize(here, 5001) : Promise.resolve();
      if (when === 'not begun') cancel.abort();
      const cancelled = expect(resize(here, 4 * PAGE, { signal: cancel.signal })).rejects.toThrow(code('ABORTED'));
      await settled();
      cancel.abort();
      held.goOn();
      await cancelled;
      await before;
      expect(state(here)).toEqual(when === 'waiting' ? grown(5001) : untouched);
    },
  );

  it('end with the session that asked for them', async () => {
    const here = await scene();
    const caller = here.world.open();
    const held = hold(here.memory);
    const ended = expect(resize(here, 4 * PAGE, { caller })).rejects.toThrow(code('UNAUTHENTICATED'));
    await settled();
    here.world.core.endSession(caller, true);
    held.goOn();
    await ended;
    expect(state(here)).toEqual(untouched);
    await resize(here, 4 * PAGE);
  });

  it.each([false, true])(
    'stop when the mapping is deleted (attached: %s), and nothing is charged once it is gone',
    async (attached) => {
      const here = await scene();
      const reader = here.world.open();
      const attachment = attached ? await attach(here, reader) : null;
      const held = hold(here.memory);
      const growing = expect(resize(here, 6 * PAGE)).rejects.toThrow(code('MAPPING_DELETED'));
      const waiting = expect(resize(here, 7 * PAGE)).rejects.toThrow(code('MAPPING_DELETED'));
      await settled();
      deleteMapping(here.world.core, here.owner, 'm');
      expect(here.memory.closed).toBe(!attached);
      held.goOn();
      await growing;
      await waiting;
      if (attachment !== null) {
        expect(here.owned.charge.bytes).toBe(2 * PAGE + CONTROL);
        detachMapping(here.world.core, reader, attachment.id);
      }
      expect(here.memory.closed).toBe(true);
      expect(here.world.core.quota.chargedBytes).toBe(0);
      expect(here.world.core.quota.used('reservedBytes')).toBe(0);
    },
  );

  it('that end after the mapping is gone charge nothing', async () => {
    const here = await scene();
    await resize(here, 4 * PAGE);
    const holdId = await lease(here);
    const held = hold(here.memory);
    const shrinking = resize(here, 1, { holdId }).catch((error: unknown) => error);
    await settled();
    deleteMapping(here.world.core, here.owner, 'm');
    here.world.core.endSession(here.owner, true);
    held.goOn();
    await shrinking;
    expect(here.world.core.quota.chargedBytes).toBe(0);
  });

  it('are not begun while the broker drains', async () => {
    const here = await scene();
    void here.world.core.drain(1000);
    await expect(resize(here, 4 * PAGE)).rejects.toThrow(code('DRAINING'));
  });

  it('fail with what was wrong, whatever it was', async () => {
    const here = await scene();
    for (const [cause, expected] of [
      [new OsError('mlock', 12, 'ENOMEM'), 'MEMORY_NOT_LOCKABLE'],
      [new OsError('posix_fallocate', 24, 'EMFILE'), 'QUOTA_EXCEEDED'],
      [new LeaseholdError('LARGE_PAGES_UNAVAILABLE', 'no'), 'LARGE_PAGES_UNAVAILABLE'],
      [new Error('what?'), 'INTERNAL'],
    ] as const) {
      hold(here.memory).fail(cause);
      await expect(resize(here, 4 * PAGE)).rejects.toThrow(code(expected));
      expect(state(here)).toEqual(untouched);
    }
  });
});
