/** Sessions that lease by RPC alone, as they are on the wire, and what a broker shows of the leases of a mapping. */
import { type Broker, openRpcSession } from '@leasehold/client';
import { type Lease, LeaseMode } from '@leasehold/proto';
import { onTestFinished } from 'vitest';
import { rawRpc } from './raw-client.ts';

/** Ends with its test. */
export async function leaseSession(runtimeDir: string, name = 'rpc') {
  const session = await openRpcSession({ runtimeDir, name });
  const rpc = rawRpc(runtimeDir, Buffer.from(session.token, 'base64url'));
  const close = async (): Promise<void> => {
    rpc.close();
    await session.close();
  };
  onTestFinished(close);
  const acquire = async (mapping: string, request: object = {}, signal?: AbortSignal): Promise<Lease> => {
    const { lease } = await rpc.leases.acquireLease(
      { name: mapping, mode: LeaseMode.EXCLUSIVE, ...request },
      { ...rpc.options, ...(signal === undefined ? {} : { signal }) },
    );
    if (lease === undefined) throw new Error('the broker answered without a lease');
    return lease;
  };
  return { ...rpc, sessionId: session.sessionId, acquire, close };
}

export type LeaseSession = Awaited<ReturnType<typeof leaseSession>>;

/** Who holds and who waits, by hold id. */
export async function locked(broker: Broker, name: string): Promise<{ holders: bigint[]; waiters: bigint[] }> {
  const [leases] = await broker.listLeases({ prefix: name });
  const ids = (list: readonly { holdId: bigint }[] = []): bigint[] => list.map(({ holdId }) => holdId);
  return { holders: ids(leases?.holders), waiters: ids(leases?.waiters) };
}
