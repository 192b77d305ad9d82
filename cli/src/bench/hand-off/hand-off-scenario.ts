/** Hand-offs of one payload in one way: opened, measured and closed in every round. A way has two processes, which its payloads share. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { environment } from '../broker-process.ts';
import { Samples } from '../measure.ts';
import { type Member, programPath } from '../processes.ts';
import type { Result } from '../report-model.ts';
import type { Lab, Scenario } from '../scenario.ts';
import type { SideQuestion, SideSettings } from './side.ts';
import { amountOf, nameOf, WAYS, type Way } from './ways.ts';

class Sides {
  readonly way: Way;
  readonly lab: Lab;
  #sides: Promise<readonly [Member<SideQuestion>, Member<SideQuestion>]> | null = null;

  constructor(lab: Lab, way: Way) {
    this.lab = lab;
    this.way = way;
  }

  /** Leader and follower. */
  get(): Promise<readonly [Member<SideQuestion>, Member<SideQuestion>]> {
    this.#sides ??= this.#start();
    return this.#sides;
  }

  async #start(): Promise<readonly [Member<SideQuestion>, Member<SideQuestion>]> {
    const { lab, way } = this;
    const directory = join(lab.directory, nameOf(way).replaceAll('/', '-'));
    await mkdir(directory);
    const settings: SideSettings = { way, directory, farCore: lab.cores?.[1] ?? null };
    const start = (role: 'leader' | 'follower', core: number | null): Member<SideQuestion> =>
      lab.crew.start<SideQuestion>({
        name: `${nameOf(way)} ${role}`,
        program: programPath('hand-off/side.js'),
        args: [role, JSON.stringify(settings)],
        env: environment(lab.runtimeDir),
        core,
      });
    return [start('leader', lab.cores?.[0] ?? null), start('follower', lab.cores?.[1] ?? null)];
  }
}

class HandOffScenario implements Scenario {
  readonly group = 'hand-off';
  readonly when = 'every-round';
  readonly name: string;
  readonly #sides: Sides;
  readonly #payloadBytes: number;
  readonly #oneWayNs = new Samples();

  constructor(sides: Sides, payloadBytes: number) {
    this.name = `hand-off/${nameOf(sides.way)}/${payloadBytes}`;
    this.#sides = sides;
    this.#payloadBytes = payloadBytes;
  }

  async open(): Promise<void> {
    await this.#sides.get();
  }

  async measure(counted: boolean): Promise<void> {
    const [leader, follower] = await this.#sides.get();
    const { way, lab } = this.#sides;
    const { warmUp, roundTrips } = amountOf(way, this.#payloadBytes, lab.quick);
    const open = { do: 'open', payloadBytes: this.#payloadBytes } as const;
    await follower.ask(open);
    await leader.ask(open);
    const [tookNs] = await Promise.all([
      leader.ask<Float64Array>({ do: 'lead', warmUp, roundTrips }),
      follower.ask({ do: 'follow', count: warmUp + roundTrips }),
    ]);
    await Promise.all([leader.ask({ do: 'close' }), follower.ask({ do: 'close' })]);
    if (counted) this.#oneWayNs.add(tookNs.map((ns) => ns / 2));
  }

  results(): readonly Result[] {
    const { way } = this.#sides;
    return [
      {
        id: this.name,
        group: this.group,
        who: way.transport,
        settings: { waiting: way.waiting, payloadBytes: this.#payloadBytes, ...way.settings },
        unit: 'ns',
        distribution: this.#oneWayNs.distribution(),
      },
    ];
  }

  async close(): Promise<void> {
    // The crew ends both processes.
  }
}

export function handOffScenarios(lab: Lab): readonly Scenario[] {
  return WAYS.flatMap((way) => {
    const sides = new Sides(lab, way);
    return way.payloads.map((payloadBytes) => new HandOffScenario(sides, payloadBytes));
  });
}
