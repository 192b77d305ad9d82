/**
 * Health checks by another process than the one that has the broker work. One at a time, due at fixed times: a check that waits behind
 * a late one counts from when it was due, so that one long pause is not one sample among many short ones.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { HealthServices, probeHealth } from '@leasehold/broker';
import { type Broker, findBroker, monotonicNs } from '@leasehold/client';
import type { CheckId, CheckTimes } from './memory-figures.ts';

export type CheckQuestion =
  /** Answered at once: checks go on until `stop-checks`, and `collect-checks` asks what came of them. */
  { readonly do: 'start-checks' } | { readonly do: 'stop-checks' } | { readonly do: 'collect-checks' };

const PERIOD_MS = 10;
const CHECK_LIMIT_MS = 60_000;

export class CheckSide {
  readonly #actions: Readonly<Record<CheckId, () => Promise<unknown>>>;
  #stopped = false;
  #checks: Promise<CheckTimes> | null = null;

  constructor(broker: Broker) {
    const uid = process.getuid?.() ?? 0;
    const { controlSocket } = findBroker({ runtimeDir: broker.runtimeDir, env: process.env, uid });
    const service = HealthServices.liveness;
    this.#actions = {
      health: () => probeHealth({ controlSocket, service, timeoutMs: CHECK_LIMIT_MS }),
      info: () => broker.info(),
    };
  }

  answer(question: CheckQuestion): unknown {
    switch (question.do) {
      case 'start-checks':
        return this.#start();
      case 'stop-checks':
        this.#stopped = true;
        return null;
      case 'collect-checks':
        return this.#checks;
    }
  }

  #start(): void {
    this.#stopped = false;
    this.#checks = this.#run();
    // Whoever collects it is told.
    this.#checks.catch(() => undefined);
  }

  /** Until it is stopped, at least once each. */
  async #run(): Promise<CheckTimes> {
    const times = { health: [] as number[], info: [] as number[] };
    let dueNs = monotonicNs();
    let endNs = dueNs;
    do {
      for (const check of ['health', 'info'] as const) {
        const nowNs = monotonicNs();
        if (dueNs > nowNs) await sleep((dueNs - nowNs) / 1e6);
        const fromNs = endNs > dueNs ? dueNs : monotonicNs();
        await this.#actions[check]();
        endNs = monotonicNs();
        times[check].push(endNs - fromNs);
        dueNs += PERIOD_MS * 1e6;
      }
    } while (!this.#stopped);
    return times;
  }
}
