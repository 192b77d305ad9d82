/** Throughput of each kind and payload: a rate for each round, of which the one in the middle is reported. */
import { environment } from '../broker-process.ts';
import { Samples } from '../measure.ts';
import { once } from '../once.ts';
import { type Member, programPath } from '../processes.ts';
import type { Group, Result } from '../report-model.ts';
import type { Lab, Scenario } from '../scenario.ts';
import {
  framesOf,
  heldAtOnce,
  idOf,
  KINDS,
  type Kind,
  leadInOf,
  OWN_KINDS,
  OWN_PAYLOADS,
  type OwnKind,
} from './kinds.ts';
import type { ThroughputQuestion } from './side.ts';

type Side = Member<ThroughputQuestion>;

const NS_PER_S = 1e9;

type Sides = () => readonly [publisher: Side, subscriber: Side];

const starterIn =
  ({ crew, cores, runtimeDir }: Lab) =>
  (name: string, role: 'publisher' | 'subscriber' | 'alone'): Side =>
    crew.start<ThroughputQuestion>({
      name: `${name} ${role}`,
      program: programPath('throughput/side.js'),
      args: [role],
      env: environment(runtimeDir),
      core: cores?.[role === 'subscriber' ? 1 : 0] ?? null,
    });

class FrameScenario implements Scenario {
  readonly group = 'throughput';
  readonly when = 'every-round';
  readonly name: string;
  readonly #lab: Lab;
  readonly #kind: Kind;
  readonly #payloadBytes: number;
  readonly #sides: Sides;
  readonly #rates = new Samples();

  constructor(lab: Lab, kind: Kind, payloadBytes: number, sides: Sides) {
    this.name = idOf(kind, payloadBytes);
    this.#lab = lab;
    this.#kind = kind;
    this.#payloadBytes = payloadBytes;
    this.#sides = sides;
  }

  get #written(): boolean {
    return this.#kind.manner === 'in turn' || this.#kind.manner === 'at once';
  }

  async open(): Promise<void> {
    const question = { do: 'open', kind: this.#kind, payloadBytes: this.#payloadBytes } as const;
    for (const side of this.#sides()) await side.ask(question);
  }

  async measure(counted: boolean): Promise<void> {
    const [kind, payloadBytes] = [this.#kind, this.#payloadBytes];
    const frames = framesOf(kind, payloadBytes, this.#lab.quick);
    const question = { do: 'run', kind, payloadBytes, leadIn: leadInOf(kind, frames), frames } as const;
    const [published, taken] = await Promise.all(
      this.#sides().map((side) => side.ask<number | Float64Array>(question)),
    );
    if (counted) this.#rates.add(this.#ratesOf(published, taken, frames));
  }

  #ratesOf(published: unknown, taken: unknown, frames: number): readonly number[] | Float64Array {
    const perFrame = this.#written ? this.#payloadBytes : 1;
    if (published instanceof Float64Array) return published.map((tookNs) => (perFrame * NS_PER_S) / tookNs);
    return [(frames * perFrame * NS_PER_S) / (Number(taken) - Number(published))];
  }

  results(): readonly Result[] {
    const { manner, views, slots } = this.#kind;
    const { maxLoans, maxPins } = heldAtOnce(this.#kind);
    return [
      {
        id: this.name,
        group: this.group,
        who: 'leasehold',
        settings: {
          payloadBytes: this.#payloadBytes,
          manner,
          views,
          slots,
          maxLoans,
          maxPins,
          overflow: 'block',
          wait: 'spin',
        },
        unit: this.#written ? 'B/s' : 'frames/s',
        value: this.#rates.median(),
      },
    ];
  }

  async close(): Promise<void> {
    // The crew ends both processes.
  }
}

class OwnMemoryScenario implements Scenario {
  readonly group: Group;
  readonly when = 'every-round';
  readonly name: string;
  readonly #lab: Lab;
  readonly #own: OwnKind;
  readonly #payloadBytes: number;
  readonly #side: () => Side;
  readonly #rates = new Samples();

  constructor(lab: Lab, own: OwnKind, payloadBytes: number, side: () => Side) {
    this.group = OWN_KINDS[own];
    this.name = own === 'copied' ? `memcpy/memory/${payloadBytes}` : `throughput/own-memory/${own}/${payloadBytes}`;
    this.#lab = lab;
    this.#own = own;
    this.#payloadBytes = payloadBytes;
    this.#side = side;
  }

  async open(): Promise<void> {
    this.#side();
  }

  async measure(counted: boolean): Promise<void> {
    const payloadBytes = this.#payloadBytes;
    const frames = framesOf({ manner: 'in turn' }, payloadBytes, this.#lab.quick);
    const tookNs = await this.#side().ask<Float64Array>({ do: 'own', own: this.#own, payloadBytes, frames });
    if (counted) this.#rates.add(tookNs.map((ns) => (payloadBytes * NS_PER_S) / ns));
  }

  results(): readonly Result[] {
    const call = this.#own === 'copied' ? 'Float64Array.set' : 'Float64Array.fill, then the sum of all words';
    return [
      {
        id: this.name,
        group: this.group,
        who: this.#own === 'copied' ? 'memory' : 'own-memory',
        settings: { payloadBytes: this.#payloadBytes, call },
        unit: 'B/s',
        value: this.#rates.median(),
      },
    ];
  }

  async close(): Promise<void> {
    // The crew ends the process.
  }
}

/** As for hand-offs: each kind has two processes of its own, but in a quick run. */
export function throughputScenarios(lab: Lab): readonly Scenario[] {
  const start = starterIn(lab);
  const sidesFor = (name: string): Sides => once(() => [start(name, 'publisher'), start(name, 'subscriber')]);
  const shared = sidesFor('throughput');
  const frames = KINDS.flatMap((kind) => {
    const sides = lab.quick ? shared : sidesFor(kind.name);
    return kind.payloads.map((payloadBytes) => new FrameScenario(lab, kind, payloadBytes, sides));
  });
  const alone = once(() => start('throughput', 'alone'));
  const own = (Object.keys(OWN_KINDS) as OwnKind[]).flatMap((kind) =>
    OWN_PAYLOADS.map((payloadBytes) => new OwnMemoryScenario(lab, kind, payloadBytes, alone)),
  );
  return [...frames, ...own];
}
