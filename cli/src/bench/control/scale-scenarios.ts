/**
 * A broker of its own with many sessions and mappings: whether its calls take longer than before, what each session and mapping costs it,
 * and what it does while nobody asks anything.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BenchBroker, environment, type SettledMemory, startBroker } from '../broker-process.ts';
import { Samples } from '../measure.ts';
import { once } from '../once.ts';
import { type Member, programPath } from '../processes.ts';
import type { Result } from '../report-model.ts';
import type { Lab, Scenario } from '../scenario.ts';
import type { AskingQuestion } from './asking-program.ts';
import { cpuPercent, openDescriptors } from './broker-figures.ts';
import { CALLS, type CallId } from './calls.ts';
import type { CrowdQuestion } from './crowd-program.ts';

const TIMED = [
  'GetMapping',
  'CreateMapping',
  'AttachMapping+Claim',
  'OpenSubscriber+Claim',
  'AcquireLease+ReleaseLease',
] as const satisfies readonly CallId[];

/** The defaults keep one user from having so much. */
const QUOTAS = `[quotas.perUser]
mappings = 16_384
sessions = 2_048
descriptors = 1_000_000
`;

const amounts = (quick: boolean) =>
  quick
    ? { sessions: 40, mappings: 200, calls: 20, settleMs: 0, idleMs: 1_000 }
    : { sessions: 1_000, mappings: 5_000, calls: 500, settleMs: 20_000, idleMs: 30_000 };

/** What a broker has at one moment. */
interface Holding extends SettledMemory {
  readonly descriptors: number;
}

interface Crowded {
  readonly broker: BenchBroker;
  readonly times: ReadonlyMap<string, Samples>;
  readonly empty: Holding;
  readonly withMappings: Holding;
  readonly full: Holding;
  /** Of ListMappings, of all. */
  readonly listBytes: number;
}

/** Fills a broker, and measures on the way. */
async function crowdIn(lab: Lab): Promise<Crowded> {
  const { sessions, mappings, calls } = amounts(lab.quick);
  const directory = join(lab.directory, 'crowded');
  await mkdir(directory);
  const config = join(directory, 'leasehold.toml');
  await writeFile(config, QUOTAS);
  const broker = await startBroker(lab.crew, directory, ['--config', config]);
  const { runtimeDir } = broker;
  const start = <Q>(name: string): Member<Q> =>
    lab.crew.start<Q>({ name, program: programPath(`control/${name}-program.js`), env: environment(runtimeDir) });
  const asker = start<AskingQuestion>('asking');
  const crowd = start<CrowdQuestion>('crowd');
  await asker.ask({ do: 'open', options: { lanes: 1, runtimeDir } });
  const times = new Map<string, Samples>();
  const time = async (when: 'empty' | 'full'): Promise<void> => {
    for (const id of TIMED) {
      // Twice: the first time only warms up.
      for (const counted of [false, true]) {
        const tookNs = await asker.ask<Float64Array>({ do: 'time', id, inFlight: 1, count: calls });
        if (counted) times.set(`${id}/${when}`, samplesOf(tookNs));
      }
    }
  };
  await time('empty');
  const empty = await holdingOf(broker);
  await crowd.ask({ add: 'mappings', count: mappings, runtimeDir });
  const withMappings = await holdingOf(broker);
  await crowd.ask({ add: 'sessions', count: sessions, runtimeDir });
  const full = await holdingOf(broker);
  await time('full');
  const listBytes = await asker.ask<number>({ do: 'list' });
  return { broker, times, empty, withMappings, full, listBytes };
}

function samplesOf(tookNs: Float64Array): Samples {
  const samples = new Samples();
  samples.add(tookNs);
  return samples;
}

async function holdingOf({ process }: BenchBroker): Promise<Holding> {
  const memory = await process.ask<SettledMemory>('what memory does it have?');
  return { ...memory, descriptors: openDescriptors(process.pid) };
}

class ScaleScenario implements Scenario {
  readonly group = 'scale';
  readonly when = 'once';
  readonly name = 'scale/leasehold';
  readonly #lab: Lab;
  readonly #crowd: () => Promise<Crowded>;
  #crowded: Crowded | null = null;

  constructor(lab: Lab, crowd: () => Promise<Crowded>) {
    this.#lab = lab;
    this.#crowd = crowd;
  }

  async open(): Promise<void> {
    // Filled when it is measured: until then the machine belongs to the others.
  }

  async measure(): Promise<void> {
    this.#crowded = await this.#crowd();
  }

  results(): readonly Result[] {
    const crowded = this.#crowded;
    if (crowded === null) return [];
    return [...this.#times(crowded), ...this.#costs(crowded)];
  }

  #times({ times }: Crowded): Result[] {
    const { sessions, mappings } = amounts(this.#lab.quick);
    return TIMED.flatMap((id) =>
      (['empty', 'full'] as const).map((when): Result => {
        const settings =
          when === 'full' ? { sessions, mappings, inFlight: 1 } : { sessions: 2, mappings: 1, inFlight: 1 };
        const distribution = (times.get(`${id}/${when}`) ?? new Samples()).distribution();
        const { note } = CALLS[id];
        return {
          id: `scale/leasehold/${id}/${when}`,
          group: 'scale',
          who: 'leasehold',
          settings,
          unit: 'ns',
          distribution,
          note,
        };
      }),
    );
  }

  #costs({ empty, withMappings, full, listBytes }: Crowded): Result[] {
    const { sessions, mappings } = amounts(this.#lab.quick);
    const settings = { sessions, mappings };
    const cost = (name: string, bytes: number, note: string): Result => ({
      id: `scale/leasehold/${name}`,
      group: 'scale',
      who: 'leasehold',
      settings,
      unit: 'B',
      value: Math.max(0, bytes),
      note,
    });
    const each = (before: Holding, after: Holding, count: number) => (figure: keyof Holding) =>
      (after[figure] - before[figure]) / count;
    const ofMapping = each(empty, withMappings, mappings);
    const ofSession = each(withMappings, full, sessions);
    const descriptors = (count: number) => `after a garbage collection; ${count.toFixed(1)} descriptors each`;
    return [
      cost('heap-per-mapping', ofMapping('heapBytes'), descriptors(ofMapping('descriptors'))),
      cost(
        'rss-per-mapping',
        ofMapping('residentBytes'),
        'with the page that the broker has mapped of each, without its data',
      ),
      cost('heap-per-session', ofSession('heapBytes'), descriptors(ofSession('descriptors'))),
      cost('rss-per-session', ofSession('residentBytes'), 'each with a gRPC connection that was used once'),
      cost('list-bytes-per-mapping', listBytes / mappings, 'of the answer to ListMappings'),
    ];
  }

  async close(): Promise<void> {
    // The crew ends all processes.
  }
}

class IdleScenario implements Scenario {
  readonly group = 'idle';
  readonly when = 'once';
  readonly name = 'idle/broker/cpu';
  readonly #lab: Lab;
  readonly #crowd: () => Promise<Crowded>;
  #percent = Number.NaN;

  constructor(lab: Lab, crowd: () => Promise<Crowded>) {
    this.#lab = lab;
    this.#crowd = crowd;
  }

  async open(): Promise<void> {
    // As above.
  }

  async measure(): Promise<void> {
    const { broker } = await this.#crowd();
    const { settleMs, idleMs } = amounts(this.#lab.quick);
    // V8 collects what the last calls left when nothing has happened for some ten seconds, which is a third of a second of work.
    await sleep(settleMs);
    this.#percent = await cpuPercent(broker.process.pid, idleMs);
  }

  results(): readonly Result[] {
    const { sessions, mappings, settleMs, idleMs } = amounts(this.#lab.quick);
    const note = 'CPU time of the broker, of one core, while nobody asks it anything';
    const settings = { sessions, mappings, settleMs, idleMs };
    return [{ id: this.name, group: 'idle', who: 'broker', settings, unit: '%', value: this.#percent, note }];
  }

  async close(): Promise<void> {
    // As above.
  }
}

export function scaleScenarios(lab: Lab): readonly Scenario[] {
  const crowd = once(() => crowdIn(lab));
  return [new ScaleScenario(lab, crowd), new IdleScenario(lab, crowd)];
}
