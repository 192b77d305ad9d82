/** A process of another user, which asks for everything about leases that it may not have. argv: runtime directory, mapping. */
import { LeaseholdError, openRpcSession } from '@leasehold/client';
import { LeaseMode } from '@leasehold/proto';
import { rawRpc } from '../hostile/raw-client.ts';
import { serveQuestions } from '../support/worker-side.ts';

/** A lease of somebody else. */
export interface Target {
  readonly mappingId: bigint;
  readonly holdId: bigint;
}

const [, , runtimeDir = '', name = ''] = process.argv;

/** The code that it fails with; `ok` when it does not. */
async function outcome(call: () => unknown): Promise<string> {
  try {
    await call();
    return 'ok';
  } catch (error) {
    if (error instanceof LeaseholdError) return error.code;
    throw error;
  }
}

async function tryAll(target: Target): Promise<Record<string, string>> {
  const session = await openRpcSession({ runtimeDir });
  const { leases, options, close } = rawRpc(runtimeDir, Buffer.from(session.token, 'base64url'));
  const acquire = (mode: LeaseMode) => leases.acquireLease({ name, mode }, options);
  const share = async (): Promise<void> => {
    const { lease } = await acquire(LeaseMode.SHARED);
    await leases.releaseLease({ mappingId: target.mappingId, holdId: lease?.holdId ?? 0n }, options);
  };
  const outcomes = {
    shared: await outcome(share),
    exclusive: await outcome(() => acquire(LeaseMode.EXCLUSIVE)),
    renew: await outcome(() => leases.renewLease(target, options)),
    release: await outcome(() => leases.releaseLease(target, options)),
    get: await outcome(() => leases.getLease(target, options)),
    list: await outcome(() => leases.listLeases({}, options)),
    revoke: await outcome(() => leases.revokeLease(target, options)),
    markClean: await outcome(() => leases.markClean({ name }, options)),
  };
  close();
  await session.close();
  return outcomes;
}

serveQuestions((question: 'open' | Target) =>
  question === 'open' ? outcome(() => openRpcSession({ runtimeDir })) : tryAll(question),
);
