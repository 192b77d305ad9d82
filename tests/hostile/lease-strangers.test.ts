/** Another user of the machine who wants leases, or other people's: what the policy does not give him he does not get. */
import type { Action } from '@leasehold/broker';
import { connect } from '@leasehold/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startBroker } from '../support/broker-process.ts';
import { startWorker } from '../support/processes.ts';
import type { Target } from '../workers/lease-stranger.ts';
import { locked } from './lease-sessions.ts';
import { startSpecialBroker } from './special-broker.ts';

const OTHER = { uid: 54_321, gid: 54_321 };
const NEEDS_ROOT = 'processes of another user can only be started by root';
const here = process.getuid?.() === 0;
if (!here) console.warn(`skipped: ${NEEDS_ROOT}`);

/** Lets a stranger try everything while somebody holds a shared lease, and looks that it is still held. */
async function tryAll(mayDo: readonly Action[]): Promise<Record<string, string>> {
  const { runtimeDir } = await startSpecialBroker({ mayDo });
  const broker = await connect({ runtimeDir });
  onTestFinished(() => broker.close());
  const mapping = await broker.createMapping('m', { sizeBytes: 4096, pages: 'never' });
  const lease = await mapping.lease('shared', { ttlMs: 60_000 });
  const { holders } = await locked(broker, 'm');
  const target: Target = { mappingId: mapping.info.id, holdId: holders[0] ?? 0n };
  const outcomes = await startWorker('lease-stranger', [runtimeDir, 'm'], OTHER).ask<Record<string, string>>(target);
  expect(await locked(broker, 'm')).toEqual({ holders, waiters: [] });
  expect(lease.release()).toBe(true);
  return outcomes;
}

describe.skipIf(!here)(`another user (skipped without root: ${NEEDS_ROOT})`, () => {
  it('gets no session by default, and so no lease', async () => {
    const { runtimeDir } = await startBroker();
    expect(await startWorker('lease-stranger', [runtimeDir, 'm'], OTHER).ask('open')).toBe('PERMISSION_DENIED');
  });

  it('who may only connect is refused every lease, and the sight of them', async () => {
    expect(await tryAll(['connect'])).toEqual({
      shared: 'PERMISSION_DENIED',
      exclusive: 'PERMISSION_DENIED',
      renew: 'LEASE_NOT_FOUND',
      release: 'LEASE_NOT_FOUND',
      get: 'PERMISSION_DENIED',
      list: 'PERMISSION_DENIED',
      revoke: 'PERMISSION_DENIED',
      markClean: 'PERMISSION_DENIED',
    });
  });

  it('who may read has shared leases, and neither writes nor takes anything from others', async () => {
    expect(await tryAll(['connect', 'info', 'list', 'read'])).toEqual({
      shared: 'ok',
      exclusive: 'PERMISSION_DENIED',
      renew: 'LEASE_NOT_FOUND',
      release: 'LEASE_NOT_FOUND',
      get: 'ok',
      list: 'ok',
      revoke: 'PERMISSION_DENIED',
      markClean: 'PERMISSION_DENIED',
    });
  });
});
