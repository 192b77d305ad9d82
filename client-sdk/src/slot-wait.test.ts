import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { LeaseholdError } from '@leasehold/proto';
import { bindDoorbell } from '@leasehold/shm-core/internal';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Doorbell } from './doorbell.ts';
import { Limits } from './limits.ts';
import { type SlotWaitPorts, waitForSlot } from './slot-wait.ts';

let directory = '';
let doorbell: Doorbell;
beforeEach(() => {
  directory = mkdtempSync('/tmp/slot-wait-');
  doorbell = new Doorbell(bindDoorbell(join(directory, 'bell'), 0o600));
});
afterEach(() => {
  doorbell.close();
  rmSync(directory, { recursive: true });
});

const ports = (changes: Partial<SlotWaitPorts> = {}): SlotWaitPorts => ({
  register: () => doorbell.register(1n),
  block: true,
  blockTimeoutMs: 60_000,
  arm: () => undefined,
  isArmed: () => true,
  makeRoom: async () => false,
  refusal: () => new LeaseholdError('TIMED_OUT', 'no slot'),
  ...changes,
});

describe('waiting for a slot', () => {
  it('leaves the event loop alive while not everybody can be asked to ring, so that a signal ends it', async () => {
    const controller = new AbortController();
    const waiting = waitForSlot(() => null, new Limits({ signal: controller.signal }), ports({ isArmed: () => false }));
    const failed = expect(waiting).rejects.toMatchObject({ code: 'ABORTED' });
    setTimeout(() => controller.abort(), 20);
    await failed;
  });

  it('gives what a ring brings', async () => {
    let slot: number | null = null;
    const waiting = waitForSlot(() => slot, new Limits({}), ports());
    setImmediate(() => {
      slot = 3;
      doorbell.wakeAll();
    });
    expect(await waiting).toBe(3);
  });

  it('goes another round when room was made at the bound, and is refused when none was', async () => {
    let rounds = 0;
    const makeRoom = async (): Promise<boolean> => {
      rounds += 1;
      return rounds < 3;
    };
    const waiting = waitForSlot(() => null, new Limits({}), ports({ blockTimeoutMs: 0, makeRoom }));
    await expect(waiting).rejects.toMatchObject({ code: 'TIMED_OUT' });
    expect(rounds).toBe(3);
  });
});
