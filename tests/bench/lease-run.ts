/** The leases of one round: asks the two sides, and starts and kills the holders that are to die. */
import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { monotonicNs } from '@leasehold/client';
import {
  LEASE_FIGURES,
  type LeaseFigureId,
  type LeaseReport,
  PAIRS_PER_BATCH,
  type RpcTimes,
  TAKE_IDS,
} from './lease-figures.ts';
import { distribution } from './measure.ts';
import { type Side, stop } from './processes.ts';

/** Of one round. */
export interface LeasePlan {
  /** Of each kind of taking. */
  readonly batches: number;
  readonly calls: number;
  /** How often each side gets the lease. */
  readonly handOvers: number;
  readonly deaths: number;
}

/** From just before the signal. */
interface Death {
  /** Until the next one had the lease. */
  readonly grantedNs: number;
  /** Until the socket between the killed process and this one was closed: by then the kernel had unmapped its memory. */
  readonly closedNs: number;
}

/** Processes that wait to be killed, at once: started before anything is measured, so that their start is not in the way. */
const VICTIMS_MAX = 10;

const isTake = (id: LeaseFigureId): boolean => (TAKE_IDS as readonly LeaseFigureId[]).includes(id);

export class LeaseRun {
  readonly #sender: Side;
  readonly #receiver: Side;
  readonly #plan: LeasePlan;
  readonly #startVictim: () => Side;
  readonly #samples = new Map<LeaseFigureId, number[]>([...LEASE_FIGURES.keys()].map((id) => [id, []]));

  constructor(sides: { sender: Side; receiver: Side; startVictim: () => Side }, plan: LeasePlan) {
    this.#sender = sides.sender;
    this.#receiver = sides.receiver;
    this.#startVictim = sides.startVictim;
    this.#plan = plan;
  }

  async open(): Promise<void> {
    await this.#sender.ask({ do: 'open-leases' });
    await this.#receiver.ask({ do: 'open-leases' });
  }

  async round(counted: boolean): Promise<void> {
    const add = (id: LeaseFigureId, tookNs: readonly number[]): void => {
      if (counted) this.#samples.get(id)?.push(...tookNs);
    };
    const { batches, calls, handOvers: count } = this.#plan;
    for (const id of TAKE_IDS) add(id, await this.#sender.ask<number[]>({ do: 'take-leases', id, batches }));
    const rpc = await this.#sender.ask<RpcTimes>({ do: 'lease-by-rpc', count: calls });
    add('rpc-pair', rpc.pair);
    add('rpc-bare', rpc.bare);
    const sides = [this.#sender, this.#receiver];
    const handOvers = await Promise.all(sides.map((side) => side.ask<number[]>({ do: 'hand-over-lease', count })));
    add('hand-over', handOvers.flat());
    const deaths = await this.#deaths(this.#plan.deaths);
    add(
      'death',
      deaths.map(({ grantedNs }) => grantedNs),
    );
    add(
      'death-kernel',
      deaths.map(({ closedNs }) => closedNs),
    );
  }

  async #deaths(count: number): Promise<Death[]> {
    const deaths: Death[] = [];
    for (let left = count; left > 0; left -= VICTIMS_MAX) {
      const victims = Array.from({ length: Math.min(left, VICTIMS_MAX) }, this.#startVictim);
      try {
        await Promise.all(victims.map((victim) => victim.ask({ do: 'open-lease-victim' })));
        for (const victim of victims) deaths.push(await this.#death(victim));
      } finally {
        await Promise.all(victims.map(({ child }) => stop(child)));
      }
    }
    return deaths;
  }

  async #death(victim: Side): Promise<Death> {
    await victim.ask({ do: 'hold-lease' });
    await this.#receiver.ask({ do: 'await-lease' });
    await nextTurn();
    const closed = once(victim.child, 'disconnect').then(() => monotonicNs());
    const killedNs = monotonicNs();
    victim.child.kill('SIGKILL');
    const grantedNs = (await this.#receiver.ask<number>({ do: 'collect-lease' })) - killedNs;
    return { grantedNs, closedNs: (await closed) - killedNs };
  }

  report(): LeaseReport {
    const results = [...LEASE_FIGURES].map(([id, name]) => ({
      id,
      name,
      pairsPerSample: isTake(id) ? PAIRS_PER_BATCH : 1,
      latency: distribution(this.#samples.get(id) ?? []),
    }));
    const p50Ns = (id: LeaseFigureId): number =>
      results.find((result) => result.id === id)?.latency.p50Ns ?? Number.NaN;
    return { results, rpcRatio: p50Ns('rpc-pair') / 2 / p50Ns('rpc-bare') };
  }
}
