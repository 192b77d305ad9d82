/** The broker, for whoever runs one: prepare its runtime directory and epoch, start it, watch it, drain it, close it. */

export { type MemoryHeadroom, memoryHeadroomBytes } from '@leasehold/shm-core/internal';
export { type BrokerInfo, type BrokerOptions, type RunningBroker, startBroker } from './broker.ts';
export { DEFAULT_LIMITS, type Limits } from './domain/limits.ts';
export { type Action, ownerOnly, type Peer, type Policy, type Verdict } from './domain/policy.ts';
export { type QuotaSettings, quotaLimits } from './domain/quota-limits.ts';
export { type Amounts, QUOTA_DIMENSIONS, type QuotaDimension, type QuotaLimits } from './domain/quotas.ts';
export {
  type HttpAddress,
  type HttpServer,
  type HttpServerOptions,
  startHttpServer,
} from './http/http-server.ts';
export {
  type DirectoryOptions,
  type ResolvedDirectory,
  resolveRuntimeDir,
  resolveStateDir,
} from './runtime/directories.ts';
export { type EpochOptions, nextEpoch } from './runtime/epoch.ts';
export { type HealthProbe, type HealthService, HealthServices, probeHealth } from './runtime/health-probe.ts';
export { type HugePageFigures, type PoolPageKind, readHugePageFigures } from './runtime/huge-page-figures.ts';
export { type HugePagePool, type HugePagePoolOptions, openHugePagePool } from './runtime/huge-page-pool.ts';
export { type BrokerLog, createLog, type LogLevel, LogLevels } from './runtime/logger.ts';
export { openRuntimeDir, type RuntimeDir, type RuntimeDirOptions } from './runtime/runtime-dir.ts';
export type {
  BrokerSnapshot,
  ChannelSnapshot,
  HugePagesSnapshot,
  MappingSnapshot,
  MemorySnapshot,
  PeerSnapshot,
  Readiness,
  ReadinessCheck,
  SubscriberSnapshot,
} from './snapshot.ts';
export { brokerVersion } from './version.ts';
