import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { bindDoorbell, doorbellQueueRings, openRinger } from '@leasehold/shm-core/internal';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Doorbell, type Sleeper } from './doorbell.ts';
import { ringPayload, WHOEVER_PUBLISHES } from './ring-payload.ts';

let directory = '';
let doorbell: Doorbell;
const ringer = openRinger();
const ring = (payload: Uint8Array = new Uint8Array(1)): string => ringer.ring(join(directory, 'bell'), payload);
beforeEach(() => {
  directory = mkdtempSync('/tmp/doorbell-');
  doorbell = new Doorbell(bindDoorbell(join(directory, 'bell'), 0o600));
});
afterEach(() => {
  doorbell.close();
  rmSync(directory, { recursive: true });
});

/** Far longer than any test takes. */
const BOUND_MS = 60_000;

class Counter implements Sleeper {
  wakes = 0;
  wake(): boolean {
    this.wakes += 1;
    return false;
  }
}

/** Sleepers for participants 0 to `count` − 1 of mapping 7. */
const sleepers = (count: number): Counter[] =>
  Array.from({ length: count }, (_, index) => {
    const sleeper = new Counter();
    doorbell.enter(7n, index, sleeper);
    return sleeper;
  });
const wakes = (counters: Counter[]): number[] => counters.map((counter) => counter.wakes);

describe('a doorbell', () => {
  it('wakes the one whom a ring names, and neither others nor who listens to what concerns all', () => {
    const counters = sleepers(3);
    let heard = 0;
    doorbell.onRing(() => {
      heard += 1;
    });
    ring(ringPayload(7n, 1));
    doorbell.hear();
    expect([wakes(counters), heard]).toEqual([[0, 1, 0], 0]);
  });

  it.each([
    ['names nobody here', ringPayload(7n, 100)],
    ['names another mapping', ringPayload(8n, 1)],
    ['is too short to name anybody', new Uint8Array(3)],
    ['says nothing', new Uint8Array(0)],
  ])('wakes everybody by a ring that %s', (_, payload) => {
    const counters = sleepers(3);
    let heard = 0;
    doorbell.onRing(() => {
      heard += 1;
    });
    ring(payload);
    doorbell.hear();
    expect([wakes(counters), heard]).toEqual([[1, 1, 1], 1]);
  });

  it('wakes everybody once by any number of rings that name nobody: whoever forges them gets no more done', () => {
    const counters = sleepers(3);
    // As many as are taken in one turn, and fit into the queue.
    for (let rings = 0; rings < Math.min(doorbellQueueRings(), 64) - 2; rings += 1) ring(ringPayload(8n, rings));
    ring(ringPayload(7n, 1));
    doorbell.hear();
    expect(wakes(counters)).toEqual([1, 2, 1]);
  });

  it('wakes everybody when its queue may have been full: another ring may have been turned away', () => {
    const counters = sleepers(3);
    const [before, named, after] = counters as [Counter, Counter, Counter];
    let rings = 0;
    while (ring(ringPayload(7n, 1)) === 'rung') rings += 1;
    // Of a long queue only a part is taken in one turn.
    while (named.wakes < rings) doorbell.hear();
    doorbell.hear();
    expect([before.wakes, after.wakes].every((woken) => woken >= 1)).toBe(true);
  });

  it('wakes only the one who is named, when a ring more would have fitted and all are taken in one turn', () => {
    const counters = sleepers(3);
    const rings = Math.min(doorbellQueueRings() - 1, 63);
    for (let rung = 0; rung < rings; rung += 1) ring(ringPayload(7n, 1));
    doorbell.hear();
    expect(wakes(counters)).toEqual([0, rings, 0]);
  });

  it('wakes who publishes on a mapping, and nobody when nobody waits to', async () => {
    const counters = sleepers(1);
    const waiter = doorbell.register(7n);
    ring(ringPayload(7n, WHOEVER_PUBLISHES));
    expect(await waiter.wait(BOUND_MS, undefined)).toBe('rung');
    ring(ringPayload(7n, WHOEVER_PUBLISHES));
    doorbell.hear();
    expect(wakes(counters)).toEqual([0]);
  });

  it('wakes nobody who has left', () => {
    const [first, second] = sleepers(2);
    if (first !== undefined) doorbell.leave(7n, 0, first);
    doorbell.wakeAll();
    expect([first?.wakes, second?.wakes]).toEqual([0, 1]);
  });

  it('wakes everybody who waits, at one ring', async () => {
    const waiters = [doorbell.register(1n), doorbell.register(1n)];
    ring();
    expect(await Promise.all(waiters.map((waiter) => waiter.wait(BOUND_MS, undefined)))).toEqual(['rung', 'rung']);
  });

  it('is not missed when it rings between the registration and the wait', async () => {
    const waiter = doorbell.register(1n);
    doorbell.wakeAll();
    expect(await waiter.wait(BOUND_MS, undefined)).toBe('rung');
  });

  it('ends a wait at its bound and at an abort', async () => {
    expect(await doorbell.register(1n).wait(0, undefined)).toBe('bound');
    expect(await doorbell.register(1n).wait(BOUND_MS, AbortSignal.abort())).toBe('aborted');
    const controller = new AbortController();
    const waiting = doorbell.register(1n).wait(BOUND_MS, controller.signal);
    controller.abort();
    expect(await waiting).toBe('aborted');
  });

  it('still wakes after it was flooded', async () => {
    for (let i = 0; i < 10_000; i += 1) ring();
    expect(await doorbell.register(1n).wait(BOUND_MS, undefined)).toBe('rung');
    expect(await doorbell.register(1n).wait(0, undefined)).toBeTypeOf('string');
    const waiter = doorbell.register(1n);
    ring();
    expect(await waiter.wait(BOUND_MS, undefined)).toBe('rung');
  });

  it('wakes who sleeps again and again, a ring or none, until nobody does', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    let wakesLeft = 2;
    doorbell.enter(1n, 0, {
      wake: () => {
        wakesLeft -= 1;
        if (wakesLeft === 0) resolve();
        return wakesLeft > 0;
      },
    });
    doorbell.lookAgain();
    await promise;
    expect(wakesLeft).toBe(0);
  });
});
