import { describe, expect, it } from 'vitest';
import { type Acquired, acquireLease } from './acquire-lease.ts';
import { releaseLease } from './lease-operations.ts';
import { fakeWorld } from './testing/fake-ports.ts';
import { acquire, cancellationOf, mapping } from './testing/leases.ts';

const REQUEST = { name: 'm', mode: 'exclusive', ttlMs: 0, waitMs: 1000, attachmentId: 0n, holdId: 0n } as const;

describe('acquiring a lease that nobody holds', () => {
  it('is answered at once, with no promise, no timer and no listener, when the session has leased before', async () => {
    const world = fakeWorld();
    const caller = world.open();
    const { mapping: owned } = await mapping(world, caller);
    const { hold } = await acquire(world, caller);
    releaseLease(world.core, caller, { mappingId: owned.id, holdId: hold.id }, { markClean: false });
    const cancellation = cancellationOf(new AbortController().signal);
    const onAbort = () => expect.unreachable('nobody waits');
    const acquired = acquireLease(world.core, caller, REQUEST, { ...cancellation, onAbort });
    expect(acquired).not.toBeInstanceOf(Promise);
    const { hold: second } = acquired as Acquired;
    expect(owned.lock.held().map(({ id }) => id)).toEqual([second.id]);
    expect(world.clock.pendingTimers).toBe(0);
  });
});
