/** What a side does about leases when it is asked. */
import type { Broker, Mapping } from '@leasehold/client';
import { LEASE_MAPPINGS, type RpcTimes, type TakeId } from './lease-figures.ts';
import { handOver, holdUntilKilled, outlive, untilSomebodyWaits } from './lease-hand-over.ts';
import { openRpcLeases, prepareLeases, timeTakes } from './lease-takes.ts';

export type LeaseQuestion =
  | { readonly do: 'open-leases' }
  | { readonly do: 'take-leases'; readonly id: TakeId; readonly batches: number }
  | { readonly do: 'lease-by-rpc'; readonly count: number }
  /** To both sides at once. */
  | { readonly do: 'hand-over-lease'; readonly count: number }
  | { readonly do: 'open-lease-victim' }
  | { readonly do: 'hold-lease' }
  /** Answered when this side waits in the broker's queue; `collect-lease` says when it was granted. */
  | { readonly do: 'await-lease' }
  | { readonly do: 'collect-lease' };

export class LeaseSide {
  readonly #broker: Broker;
  readonly #mappings = new Map<string, Mapping>();
  #byRpc: ((count: number) => Promise<RpcTimes>) | null = null;
  #grantedNs: Promise<number> | null = null;

  constructor(broker: Broker) {
    this.#broker = broker;
  }

  answer(question: LeaseQuestion): unknown {
    switch (question.do) {
      case 'open-leases':
        return this.#open(LEASE_MAPPINGS.takes, LEASE_MAPPINGS.handOvers, LEASE_MAPPINGS.deaths);
      case 'take-leases':
        return timeTakes(this.#mapping(LEASE_MAPPINGS.takes), question.id, question.batches);
      case 'lease-by-rpc':
        return this.#leaseByRpc(question.count);
      case 'hand-over-lease':
        return handOver(this.#broker, this.#mapping(LEASE_MAPPINGS.handOvers), question.count);
      case 'open-lease-victim':
        return this.#open(LEASE_MAPPINGS.deaths);
      case 'hold-lease':
        return holdUntilKilled(this.#mapping(LEASE_MAPPINGS.deaths));
      case 'await-lease':
        return this.#await();
      case 'collect-lease':
        return this.#grantedNs;
    }
  }

  async #open(...names: string[]): Promise<void> {
    for (const name of names) this.#mappings.set(name, await prepareLeases(this.#broker, name));
  }

  #mapping(name: string): Mapping {
    const mapping = this.#mappings.get(name);
    if (mapping === undefined) throw new Error(`${name} was not opened here`);
    return mapping;
  }

  async #leaseByRpc(count: number): Promise<RpcTimes> {
    this.#byRpc ??= await openRpcLeases(this.#broker);
    return this.#byRpc(count);
  }

  async #await(): Promise<void> {
    const mapping = this.#mapping(LEASE_MAPPINGS.deaths);
    this.#grantedNs = outlive(mapping);
    // Whoever collects it is told.
    this.#grantedNs.catch(() => undefined);
    await untilSomebodyWaits(this.#broker, mapping.name);
  }
}
