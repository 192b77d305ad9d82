/** From just before `publish()` to the last of several subscribers holding the frame, by CLOCK_MONOTONIC of all of them. */
import { cpus } from 'node:os';
import { environment } from '../broker-process.ts';
import { Samples } from '../measure.ts';
import { once } from '../once.ts';
import { type Member, programPath } from '../processes.ts';
import type { Result } from '../report-model.ts';
import type { Lab, Scenario } from '../scenario.ts';
import { COUNT_MAX, casesFor, type FanOutCase, framesOf, idOf, MAX_PINS, PAYLOAD_BYTES, slotsOf } from './cases.ts';
import type { FanOutQuestion } from './side.ts';

/** Frames before those that count: not every subscriber may be waiting yet. */
const LEAD_IN = 2;

const SLEPT = 'to the last one; each slept for a millisecond or longer before the frame';

interface Cast {
  readonly publisher: Member<FanOutQuestion>;
  readonly subscribers: readonly Member<FanOutQuestion>[];
}

function startCast(lab: Lab, waiting: FanOutCase['waiting'], count: number): Cast {
  const start = (args: readonly string[], core: number | null): Member<FanOutQuestion> =>
    lab.crew.start<FanOutQuestion>({
      name: `fan-out ${args.join(' ')}`,
      program: programPath('fan-out/side.js'),
      args,
      env: environment(lab.runtimeDir),
      core,
    });
  const [near = null, far = null] = lab.cores ?? [];
  // Of many, the scheduler finds the best cores.
  const core = waiting === 'spin' && count === 1 ? far : null;
  return {
    publisher: start(['publisher'], near),
    subscribers: Array.from({ length: count }, (_, place) => start(['subscriber', String(place)], core)),
  };
}

class FanOutScenario implements Scenario {
  readonly group = 'fan-out';
  readonly when = 'every-round';
  readonly name: string;
  readonly #lab: Lab;
  readonly #of: FanOutCase;
  readonly #cast: () => Cast;
  readonly #lastNs = new Samples();

  constructor(lab: Lab, of: FanOutCase, cast: () => Cast) {
    this.name = idOf(of);
    this.#lab = lab;
    this.#of = of;
    this.#cast = cast;
  }

  get #subscribers(): readonly Member<FanOutQuestion>[] {
    return this.#cast().subscribers.slice(0, this.#of.subscribers);
  }

  async open(): Promise<void> {
    const question = { do: 'open', of: this.#of } as const;
    await this.#cast().publisher.ask(question);
    await Promise.all(this.#subscribers.map((subscriber) => subscriber.ask(question)));
  }

  async measure(counted: boolean): Promise<void> {
    const frames = LEAD_IN + framesOf(this.#of, this.#lab.quick);
    const taken = this.#subscribers.map((subscriber) => subscriber.ask({ do: 'take', of: this.#of, frames }));
    const sent = this.#cast().publisher.ask<Float64Array>({ do: 'send', of: this.#of, frames });
    const [tookNs] = await Promise.all([sent, ...taken]);
    if (counted) this.#lastNs.add(tookNs.subarray(LEAD_IN));
  }

  results(): readonly Result[] {
    const { waiting, subscribers } = this.#of;
    return [
      {
        id: this.name,
        group: this.group,
        who: 'leasehold',
        settings: { waiting, subscribers, payloadBytes: PAYLOAD_BYTES, maxPins: MAX_PINS, slots: slotsOf(this.#of) },
        unit: 'ns',
        distribution: this.#lastNs.distribution(),
        ...(waiting === 'park' && { note: SLEPT }),
      },
    ];
  }

  async close(): Promise<void> {
    // The crew ends all processes.
  }
}

export function fanOutScenarios(lab: Lab): readonly Scenario[] {
  const cases = casesFor(cpus().length);
  const casts = {
    spin: once(() =>
      startCast(
        lab,
        'spin',
        Math.max(1, ...cases.filter(({ waiting }) => waiting === 'spin').map(({ subscribers }) => subscribers)),
      ),
    ),
    park: once(() => startCast(lab, 'park', COUNT_MAX)),
  };
  return cases.map((of) => new FanOutScenario(lab, of, casts[of.waiting]));
}
