import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { bindDoorbell, openRinger } from '@leasehold/shm-core/internal';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Doorbell } from './doorbell.ts';

let directory = '';
let doorbell: Doorbell;
const ringer = openRinger();
const ring = (): void => void ringer.ring(join(directory, 'bell'), new Uint8Array(1));
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

describe('a doorbell', () => {
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
});
