/** The broker, for whoever runs one: start it in a runtime directory, watch it, drain it, close it. */

export { type BrokerInfo, type BrokerOptions, type RunningBroker, startBroker } from './broker.ts';
export { DEFAULT_LIMITS, type Limits } from './domain/limits.ts';
export { type Action, ownerOnly, type Peer, type Policy, type Verdict } from './domain/policy.ts';
export type {
  BrokerSnapshot,
  ChannelSnapshot,
  MappingSnapshot,
  MemorySnapshot,
  PeerSnapshot,
  Readiness,
  ReadinessCheck,
  SubscriberSnapshot,
} from './snapshot.ts';
export { brokerVersion } from './version.ts';
