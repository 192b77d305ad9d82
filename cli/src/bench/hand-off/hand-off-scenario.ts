/** Hand-offs of one payload in one way: opened, measured and closed in every round. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { environment } from '../broker-process.ts';
import { Samples } from '../measure.ts';
import { once } from '../once.ts';
import { type Member, programPath } from '../processes.ts';
import type { Result } from '../report-model.ts';
import type { Lab, Scenario } from '../scenario.ts';
import type { SideQuestion } from './side.ts';
import { amountOf, nameOf, WAYS, type Way } from './ways.ts';

type Sides = () => readonly [leader: Member<SideQuestion>, follower: Member<SideQuestion>];

/** Started at first use. */
function sidesIn({ crew, cores, runtimeDir }: Lab, name: string): Sides {
  const start = (role: 'leader' | 'follower', core: number | null): Member<SideQuestion> =>
    crew.start<SideQuestion>({
      name: `${name} ${role}`,
      program: programPath('hand-off/side.js'),
      args: [role],
      env: environment(runtimeDir),
      core,
    });
  return once(() => [start('leader', cores?.[0] ?? null), start('follower', cores?.[1] ?? null)]);
}

class HandOffScenario implements Scenario {
  readonly group = 'hand-off';
  readonly when = 'every-round';
  readonly name: string;
  readonly #lab: Lab;
  readonly #way: Way;
  readonly #payloadBytes: number;
  readonly #sides: Sides;
  readonly #oneWayNs = new Samples();

  constructor(lab: Lab, way: Way, payloadBytes: number, sides: Sides) {
    this.name = `hand-off/${nameOf(way)}/${payloadBytes}`;
    this.#lab = lab;
    this.#way = way;
    this.#payloadBytes = payloadBytes;
    this.#sides = sides;
  }

  /** Where the way has its sockets and pipes. */
  get #directory(): string {
    return join(this.#lab.directory, nameOf(this.#way).replaceAll('/', '-'));
  }

  async open(): Promise<void> {
    this.#sides();
    await mkdir(this.#directory, { recursive: true });
  }

  async measure(counted: boolean): Promise<void> {
    const [leader, follower] = this.#sides();
    const { quick, cores } = this.#lab;
    const [way, payloadBytes, directory] = [this.#way, this.#payloadBytes, this.#directory];
    const { warmUp, roundTrips } = amountOf(way, payloadBytes, quick);
    const open = { do: 'open', way, payloadBytes, directory, farCore: cores?.[1] ?? null } as const;
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
    const way = this.#way;
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

/**
 * A way has two processes of its own: what the compiler of one has seen of other ways would slow it down. In a quick run, which would
 * do little else than start processes, all ways share two.
 */
export function handOffScenarios(lab: Lab): readonly Scenario[] {
  const shared = sidesIn(lab, 'hand-off');
  return WAYS.flatMap((way) => {
    const sides = lab.quick ? shared : sidesIn(lab, nameOf(way));
    return way.payloads.map((payloadBytes) => new HandOffScenario(lab, way, payloadBytes, sides));
  });
}
