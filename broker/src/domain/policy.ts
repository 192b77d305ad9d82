/** Who may do what. Every RPC and every new session asks `authorise`; there is no second place. */
import { LeaseholdError } from '@leasehold/proto';

/** A process at the other end of a connection, as the kernel names it. */
export interface Peer {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
}

export type Action =
  | 'connect'
  | 'create'
  | 'read'
  | 'write'
  | 'publish'
  | 'subscribe'
  | 'delete'
  | 'list'
  | 'admin'
  | 'info';

export type Verdict = { readonly allowed: true } | { readonly allowed: false; readonly why: string };

/** `name` is that of a mapping or channel, where the action has one. */
export type Policy = (principal: Peer, action: Action, name?: string) => Verdict;

/** Root and the broker's own user may do everything, others nothing. */
export function ownerOnly(brokerUid: number): Policy {
  return ({ uid }) =>
    uid === 0 || uid === brokerUid
      ? { allowed: true }
      : { allowed: false, why: `only root and uid ${brokerUid}, who runs the broker, may use it` };
}

/** @throws {LeaseholdError} PERMISSION_DENIED */
export function authorise(policy: Policy, principal: Peer, action: Action, name?: string): void {
  const verdict = policy(principal, action, name);
  if (verdict.allowed) return;
  const what = name === undefined ? action : `${action} ${JSON.stringify(name)}`;
  throw new LeaseholdError('PERMISSION_DENIED', `uid ${principal.uid} may not ${what}: ${verdict.why}.`, {
    metadata: { action, uid: String(principal.uid), ...(name === undefined ? {} : { name }) },
  });
}
