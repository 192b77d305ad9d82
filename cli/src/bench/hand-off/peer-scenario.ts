/** Hand-offs of a peer: another program, measured in the same rounds. One that is not there is left out, and the run says why. */
import { Samples } from '../measure.ts';
import type { Peer } from '../peer.ts';
import type { Result } from '../report-model.ts';
import type { Lab, Scenario } from '../scenario.ts';
import { amountOf, PAYLOADS } from './ways.ts';

export const peerId = (name: string, waiting: string, payloadBytes: number): string =>
  `hand-off/${name}/${waiting}/${payloadBytes}`;

class PeerScenario implements Scenario {
  readonly group = 'hand-off';
  readonly when = 'every-round';
  readonly name: string;
  readonly #peer: Peer;
  readonly #lab: Lab;
  readonly #payloadBytes: number;
  readonly #oneWayNs = new Samples();

  constructor(peer: Peer, lab: Lab, payloadBytes: number) {
    this.name = peerId(peer.name, peer.waiting, payloadBytes);
    this.#peer = peer;
    this.#lab = lab;
    this.#payloadBytes = payloadBytes;
  }

  async open(): Promise<void> {
    // Started once for all its payloads.
  }

  async measure(counted: boolean): Promise<void> {
    const { cores, quick } = this.#lab;
    const { waiting } = this.#peer;
    // Peers in the event loop are those that copy.
    const carries = waiting === 'event-loop' ? 'bytes' : 'ownership';
    const amount = amountOf({ waiting, carries }, this.#payloadBytes, quick);
    const tookNs = await this.#peer.pingPong({ payloadBytes: this.#payloadBytes, ...amount, cores });
    if (counted) this.#oneWayNs.add(tookNs.map((ns) => ns / 2));
  }

  results(): readonly Result[] {
    const { name, waiting, settings } = this.#peer;
    return [
      {
        id: this.name,
        group: this.group,
        who: name,
        settings: { waiting, payloadBytes: this.#payloadBytes, settings },
        unit: 'ns',
        distribution: this.#oneWayNs.distribution(),
      },
    ];
  }

  async close(): Promise<void> {
    // The run ends all peers.
  }
}

/** Starts those that can be measured here. `say` is told which cannot. */
export async function peerScenarios(
  lab: Lab,
  peers: readonly Peer[],
  say: (text: string) => void,
): Promise<readonly Scenario[]> {
  const scenarios: Scenario[] = [];
  for (const peer of peers) {
    const why = await peer.available();
    if (why !== null) {
      say(`${peer.name} is left out: ${why}`);
      continue;
    }
    lab.signal.throwIfAborted();
    await peer.start();
    scenarios.push(...PAYLOADS.map((payloadBytes) => new PeerScenario(peer, lab, payloadBytes)));
  }
  return scenarios;
}
