/** Metrics of memory: mappings by page kind, what counts against the quotas, and the kernel's pools of large pages. Owns no state. */
import { Gauge, type Registry } from 'prom-client';
import type { BrokerSnapshot, HugePagesSnapshot } from '../snapshot.ts';

export function addMemoryMetrics(registry: Registry): (snapshot: BrokerSnapshot) => void {
  const updates = [addMappingMetrics(registry), addQuotaMetrics(registry), addPoolMetrics(registry)];
  return (snapshot) => {
    for (const update of updates) update(snapshot);
  };
}

function addMappingMetrics(registry: Registry): (snapshot: BrokerSnapshot) => void {
  const byKind = (name: string, help: string) =>
    new Gauge({ name, help, labelNames: ['page_kind'], registers: [registry] });
  const mappings = byKind('leasehold_mappings', 'Mappings that exist, those of channels included.');
  const mappedBytes = byKind('leasehold_mapped_bytes', 'Bytes of all data segments.');
  const payloadBytes = byKind('leasehold_payload_bytes', 'Bytes of payload in all data segments.');
  return (snapshot) => {
    for (const metric of [mappings, mappedBytes, payloadBytes]) metric.reset();
    for (const mapping of snapshot.mappings) {
      const labels = { page_kind: mapping.pageKind };
      mappings.inc(labels, 1);
      mappedBytes.inc(labels, mapping.mappedBytes);
      payloadBytes.inc(labels, mapping.payloadBytes);
    }
  };
}

function addQuotaMetrics(registry: Registry): (snapshot: BrokerSnapshot) => void {
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers: [registry] });
  const byQuota = (name: string, help: string) =>
    new Gauge({ name, help, labelNames: ['quota'], registers: [registry] });
  const quotaBytes = gauge('leasehold_memory_quota_bytes', 'Bytes that all mappings together may take.');
  const chargedBytes = gauge('leasehold_memory_charged_bytes', 'Bytes counted against the quota.');
  const populatingBytes = gauge(
    'leasehold_populating_bytes',
    'Bytes promised to those who wait for them to be populated.',
  );
  const used = byQuota('leasehold_quota_used', 'What all users together have taken of a quota, in its own unit.');
  const limit = byQuota('leasehold_quota_limit', 'What all users together may take of a quota; +Inf: no limit.');
  return ({ memory, quotas }) => {
    quotaBytes.set(memory.quotaBytes);
    chargedBytes.set(memory.chargedBytes);
    populatingBytes.set(memory.populatingBytes);
    for (const each of quotas) {
      used.set({ quota: each.quota }, each.used);
      limit.set({ quota: each.quota }, each.limit);
    }
  };
}

const POOL_STATES: Readonly<Record<string, (pool: HugePagesSnapshot) => number>> = {
  total: (pool) => pool.totalPages,
  free: (pool) => pool.freePages,
  reserved: (pool) => pool.reservedPages,
  ours: (pool) => pool.ourPages,
};

function addPoolMetrics(registry: Registry): (snapshot: BrokerSnapshot) => void {
  const pages = new Gauge({
    name: 'leasehold_huge_pages',
    help: "Large pages of the kernel's pool: all, the free ones, those of the free ones that are promised, and those of our mappings.",
    labelNames: ['page_kind', 'state'],
    registers: [registry],
  });
  const added = new Gauge({
    name: 'leasehold_huge_pages_added',
    help: '2 MiB pages that the broker has added to the pool, or taken over from one that died, and gives back when it ends.',
    registers: [registry],
  });
  return ({ hugePages, hugePagesAdded }) => {
    pages.reset();
    for (const pool of hugePages) {
      for (const [state, count] of Object.entries(POOL_STATES)) {
        pages.set({ page_kind: pool.pageKind, state }, count(pool));
      }
    }
    added.set(hugePagesAdded);
  };
}
