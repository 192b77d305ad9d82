/** Every peer that needs more than Node: a compiler, a Debian package, a package of npm. Each says itself whether it is here. */
import type { Peer } from 'leasehold/bench';
import { cPeers } from './c-peers.ts';
import { iceoryxPeers } from './iceoryx-peers.ts';
import { zeroMqPeer } from './zeromq-peer.ts';

export function peers(): readonly Peer[] {
  return [...cPeers(), ...iceoryxPeers(), zeroMqPeer()];
}
