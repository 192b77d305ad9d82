/** What Leasehold's other packages need of shm-core. No promise of stability to anybody else. */

export { type ChannelGeometry, channelGeometry, initialiseChannel, readGeometry } from './channel/geometry.ts';
export { GENERATION_LIMIT } from './channel/words.ts';
export { MAX_PARTICIPANTS, MAX_SLOTS, USER_METADATA_BYTES } from './layout/regions.ts';
export { SEQUENCE_LIMIT } from './layout/sequence.ts';
export { BrokerMapping, type BrokerMappingSpec, type GrantedSegment, type NewParticipant } from './mapping/broker-mapping.ts';
export { CorruptMemoryError } from './mapping/corrupt-memory.ts';
