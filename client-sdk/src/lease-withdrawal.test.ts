import { LeaseholdError } from '@leasehold/proto';
import { describe, expect, it } from 'vitest';
import { stateOf, taken, wish, writers } from './testing/lease-world.ts';
import { settled } from './testing/virtual-time.ts';

function failing(code: 'TIMED_OUT' | 'LEASE_NOT_FOUND'): Promise<never> {
  const failed = Promise.reject(new LeaseholdError(code, 'a failure'));
  failed.catch(() => undefined);
  return failed;
}

describe('a wait at a broker that fails', () => {
  it('that is aborted does not wait for a broker that hangs', async () => {
    const { world, mine, other } = await writers();
    taken(other);
    const controller = new AbortController();
    const waiting = mine.queue.take(wish({ signal: controller.signal }));
    waiting.catch(() => undefined);
    await settled();
    world.withdrawals = new Promise(() => undefined);
    controller.abort();
    await world.time.pass(1_000);
    expect(await stateOf(waiting)).toBe('ABORTED');
  });

  it('that was cut off by the loss of the broker leaves nothing in memory', async () => {
    const { world, mine, other } = await writers();
    const holder = taken(other);
    world.refusals.push(new LeaseholdError('BROKER_LOST', 'gone'));
    world.brokerLost = world.refusals[0] ?? null;
    await expect(mine.queue.take(wish())).rejects.toMatchObject({ code: 'BROKER_LOST' });
    holder.release();
    expect(world.holds).toEqual([]);
    expect(taken(mine).mode).toBe('exclusive');
  });

  it('is as long as was wished though the broker answers no withdrawal', async () => {
    const { world, mine, other } = await writers();
    taken(other);
    world.withdrawals = new Promise(() => undefined);
    world.refusals.push(new LeaseholdError('INTERNAL', 'the connection was reset'));
    const waiting = mine.queue.take(wish({ waitMs: 1_000 }));
    waiting.catch(() => undefined);
    await world.time.pass(2_000);
    expect(await stateOf(waiting)).toBe('LEASE_TIMEOUT');
  });

  it('is as long as was wished though the broker goes on refusing for a while', async () => {
    const { world, mine, other } = await writers();
    taken(other);
    for (let more = 0; more < 100; more += 1) world.refusals.push(new LeaseholdError('QUOTA_EXCEEDED', 'too many'));
    const waiting = mine.queue.take(wish({ waitMs: 20, maxTries: 1_000 }));
    waiting.catch(() => undefined);
    await settled();
    await world.time.pass(21);
    expect(await stateOf(waiting)).toBe('LEASE_TIMEOUT');
  });

  it('is withdrawn no more often than it is answered', async () => {
    const { world, mine, other } = await writers();
    taken(other);
    world.withdrawals = failing('LEASE_NOT_FOUND');
    world.refusals.push(new LeaseholdError('INTERNAL', 'the connection was reset'));
    await expect(mine.queue.take(wish())).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(world.asked.filter((what) => what === 'withdraw')).toHaveLength(1);
  });

  it('does not keep the place from closing when the broker hangs', async () => {
    const { world, mine, other } = await writers();
    taken(other);
    const waiting = mine.queue.take(wish());
    waiting.catch(() => undefined);
    await settled();
    world.withdrawals = failing('TIMED_OUT');
    await mine.queue.close(new LeaseholdError('CLOSED', 'closed'));
    await expect(waiting).rejects.toMatchObject({ code: 'CLOSED' });
  });
});
