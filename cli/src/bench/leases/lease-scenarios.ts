/** Leases: taken and released where nobody contends, handed from process to process, and inherited from holders that were killed. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { monotonicNs } from '@leasehold/client';
import { environment } from '../broker-process.ts';
import { Samples } from '../measure.ts';
import { once } from '../once.ts';
import { type Member, programPath } from '../processes.ts';
import type { Result } from '../report-model.ts';
import type { Lab, Scenario } from '../scenario.ts';
import { amounts, type LEASE_MAPPINGS, PAIRS_PER_BATCH, TAKE_IDS, TAKES, type TakeId } from './figures.ts';
import type { LeaseQuestion } from './side.ts';

type Side = Member<LeaseQuestion>;

/** What all scenarios of leases have in common. */
interface Stage {
  readonly lab: Lab;
  /** Started at first use; they take part in every mapping. */
  readonly sides: () => readonly [Side, Side];
  startVictim(): Side;
}

function stageIn(lab: Lab): Stage {
  const start = (name: string, core: number | null): Side =>
    lab.crew.start<LeaseQuestion>({
      name,
      program: programPath('leases/side.js'),
      env: environment(lab.runtimeDir),
      core,
    });
  const [near = null, far = null] = lab.cores ?? [];
  return {
    lab,
    sides: once(() => [start('leases near', near), start('leases far', far)] as const),
    startVictim: () => start('leases victim', null),
  };
}

async function openIn({ sides }: Stage, mapping: keyof typeof LEASE_MAPPINGS): Promise<void> {
  for (const side of sides()) await side.ask({ do: 'open', mapping });
}

const result = (name: string, settings: Result['settings'], samples: Samples, note?: string): Result => ({
  id: `leases/${name}`,
  group: 'leases',
  who: name.split('/')[0] ?? '',
  settings,
  unit: 'ns',
  distribution: samples.distribution(),
  ...(note !== undefined && { note }),
});

abstract class LeaseScenario implements Scenario {
  readonly group = 'leases';
  readonly when = 'every-round';
  abstract readonly name: string;
  protected readonly stage: Stage;

  constructor(stage: Stage) {
    this.stage = stage;
  }

  abstract open(): Promise<void>;
  abstract measure(counted: boolean): Promise<void>;
  abstract results(): readonly Result[];

  async close(): Promise<void> {
    // The crew ends all processes.
  }
}

class TakeScenario extends LeaseScenario {
  readonly name: string;
  readonly #id: TakeId;
  readonly #pairNs = new Samples();

  constructor(stage: Stage, id: TakeId) {
    super(stage);
    this.#id = id;
    this.name = `leases/leasehold/${id}`;
  }

  open(): Promise<void> {
    return openIn(this.stage, 'takes');
  }

  async measure(counted: boolean): Promise<void> {
    const [near] = this.stage.sides();
    const { batches } = amounts(this.stage.lab.quick);
    const tookNs = await near.ask<number[]>({ do: 'take', id: this.#id, batches });
    if (counted) this.#pairNs.add(tookNs);
  }

  results(): readonly Result[] {
    const { mode, call, view } = TAKES[this.#id];
    const settings = { mode, call, view: view ? 'its first byte is read' : 'none' };
    const note = `take and release; a sample is the mean of ${PAIRS_PER_BATCH}`;
    return [result(`leasehold/${this.#id}`, settings, this.#pairNs, note)];
  }
}

class HandOverScenario extends LeaseScenario {
  readonly name = 'leases/leasehold/hand-over';
  readonly #grantedNs = new Samples();

  open(): Promise<void> {
    return openIn(this.stage, 'handOvers');
  }

  async measure(counted: boolean): Promise<void> {
    const question = { do: 'hand over', count: amounts(this.stage.lab.quick).handOvers } as const;
    const tookNs = await Promise.all(this.stage.sides().map((side) => side.ask<number[]>(question)));
    if (counted) this.#grantedNs.add(tookNs.flat());
  }

  results(): readonly Result[] {
    const note = 'from release() to the other process having it; both sleep before';
    return [result('leasehold/hand-over', { mode: 'exclusive', waiting: 'park' }, this.#grantedNs, note)];
  }
}

class DeathScenario extends LeaseScenario {
  readonly name = 'leases/leasehold/death';
  readonly #grantedNs = new Samples();
  readonly #closedNs = new Samples();

  open(): Promise<void> {
    return openIn(this.stage, 'deaths');
  }

  async measure(counted: boolean): Promise<void> {
    const { deaths } = amounts(this.stage.lab.quick);
    // Started before anything is measured, so that their start is not in the way.
    const victims = Array.from({ length: deaths }, () => this.stage.startVictim());
    await Promise.all(victims.map((victim) => victim.ask({ do: 'open', mapping: 'deaths' })));
    for (const victim of victims) await this.#kill(victim, counted);
  }

  async #kill(victim: Side, counted: boolean): Promise<void> {
    const [, heir] = this.stage.sides();
    await victim.ask({ do: 'hold until killed' });
    await heir.ask({ do: 'wait' });
    await nextTurn();
    const closed = victim.disconnected.then(() => monotonicNs());
    const killedNs = monotonicNs();
    const gone = this.stage.lab.crew.dismiss(victim, 'SIGKILL');
    const grantedNs = await heir.ask<number>({ do: 'collect' });
    await gone;
    if (!counted) return;
    this.#grantedNs.add([grantedNs - killedNs]);
    this.#closedNs.add([(await closed) - killedNs]);
  }

  results(): readonly Result[] {
    const settings = { mode: 'exclusive', waiting: 'park', signal: 'SIGKILL' };
    return [
      result('leasehold/death', settings, this.#grantedNs, 'from the signal to the next one having it'),
      result(
        'kernel/death',
        settings,
        this.#closedNs,
        'of which: until the kernel had closed the sockets of the killed',
      ),
    ];
  }
}

export function leaseScenarios(lab: Lab): readonly Scenario[] {
  const stage = stageIn(lab);
  return [...TAKE_IDS.map((id) => new TakeScenario(stage, id)), new HandOverScenario(stage), new DeathScenario(stage)];
}
