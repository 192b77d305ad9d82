/** What the policy says of a connection before it has said anything itself. */
import { LeaseholdError } from '@leasehold/proto';
import type { BrokerCore } from '../domain/broker-core.ts';
import type { Peer } from '../domain/policy.ts';

/** Null: the peer may connect. */
export function connectDenial(core: BrokerCore, peer: Peer): LeaseholdError | null {
  try {
    core.authorise(peer, 'connect');
    return null;
  } catch (error) {
    if (error instanceof LeaseholdError) return error;
    throw error;
  }
}
