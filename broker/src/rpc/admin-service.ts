/** AdminService: who answers here, and its orderly end. */
import { type AdminService, ATTACH_PROTOCOL_VERSION, type ServiceImplementation } from '@leasehold/proto';
import { PAGE_KIND } from '../wire-names.ts';
import { anonymous, unary } from './handlers.ts';
import { timestamp } from './messages.ts';
import type { RpcContext } from './rpc-context.ts';

export function adminService(context: RpcContext): ServiceImplementation<typeof AdminService> {
  const { core, facts } = context;
  return {
    getBrokerInfo: anonymous(context, (_request, peer) => {
      core.authorise(peer, 'info');
      return {
        version: facts.version,
        pid: facts.pid,
        uid: facts.uid,
        epoch: core.epoch,
        protocolVersion: ATTACH_PROTOCOL_VERSION,
        startTime: timestamp(facts.startTimeMs),
        runtimeDir: facts.runtimeDir,
        draining: core.draining,
        memoryQuotaBytes: BigInt(core.quota.quotaBytes),
        memoryChargedBytes: BigInt(core.quota.chargedBytes),
        hugePages: context.hugePages().map((pool) => ({
          pageKind: PAGE_KIND[pool.pageKind],
          totalPages: BigInt(pool.totalPages),
          freePages: BigInt(pool.freePages),
          reservedPages: BigInt(pool.reservedPages),
          ourPages: BigInt(pool.ourPages),
        })),
      };
    }),
    drain: unary(context, ({ drainMs }, caller) => {
      core.authorise(caller.peer, 'admin');
      context.onDrain(drainMs);
      return {};
    }),
  };
}
