/** What it costs to wait for one of many channels: the latency of a frame, and the CPU time while none comes. */
import { environment } from '../broker-process.ts';
import { Samples } from '../measure.ts';
import { once } from '../once.ts';
import { type Member, programPath } from '../processes.ts';
import type { Result } from '../report-model.ts';
import type { Lab, Scenario } from '../scenario.ts';
import { busyOf, COUNTS, framesOf, idleMsOf, PAYLOAD_BYTES, SLOTS } from './cases.ts';
import type { ChannelsQuestion } from './side.ts';

/** Frames before those that count. */
const LEAD_IN = 2;

type Sides = () => readonly [sender: Member<ChannelsQuestion>, receiver: Member<ChannelsQuestion>];

function sidesIn(lab: Lab, channels: number): Sides {
  const start = (role: 'sender' | 'receiver', core: number | null): Member<ChannelsQuestion> =>
    lab.crew.start<ChannelsQuestion>({
      name: `channels ${role}`,
      program: programPath('channels/side.js'),
      args: [role, String(channels)],
      env: environment(lab.runtimeDir),
      core,
    });
  return once(() => [start('sender', lab.cores?.[0] ?? null), start('receiver', lab.cores?.[1] ?? null)]);
}

const settingsOf = (channels: number): Result['settings'] => ({
  channels,
  busy: busyOf(channels).length,
  call: 'await waitSet.wait(), then tryTake()',
  payloadBytes: PAYLOAD_BYTES,
  slots: SLOTS,
});

class FrameOnOneScenario implements Scenario {
  readonly group = 'channels';
  readonly when = 'every-round';
  readonly name: string;
  readonly #lab: Lab;
  readonly #channels: number;
  readonly #sides: Sides;
  readonly #oneWayNs = new Samples();

  constructor(lab: Lab, channels: number, sides: Sides) {
    this.name = `channels/leasehold/${channels}`;
    this.#lab = lab;
    this.#channels = channels;
    this.#sides = sides;
  }

  async open(): Promise<void> {
    const [sender, receiver] = this.#sides();
    await receiver.ask({ do: 'open' });
    await sender.ask({ do: 'open' });
  }

  async measure(counted: boolean): Promise<void> {
    const [sender] = this.#sides();
    const tookNs = await sender.ask<Float64Array>({ do: 'send', frames: LEAD_IN + framesOf(this.#lab.quick) });
    if (counted) this.#oneWayNs.add(tookNs.subarray(LEAD_IN));
  }

  results(): readonly Result[] {
    return [
      {
        id: this.name,
        group: this.group,
        who: 'leasehold',
        settings: settingsOf(this.#channels),
        unit: 'ns',
        distribution: this.#oneWayNs.distribution(),
        note: 'the receiver slept for a millisecond or longer before each frame',
      },
    ];
  }

  async close(): Promise<void> {
    // The crew ends both processes.
  }
}

class IdleScenario implements Scenario {
  readonly group = 'channels';
  readonly when = 'once';
  readonly name: string;
  readonly #lab: Lab;
  readonly #channels: number;
  readonly #sides: Sides;
  #percent = Number.NaN;

  constructor(lab: Lab, channels: number, sides: Sides) {
    this.name = `channels/leasehold/idle-cpu/${channels}`;
    this.#lab = lab;
    this.#channels = channels;
    this.#sides = sides;
  }

  async open(): Promise<void> {
    // The other scenario of these sides opens them.
  }

  async measure(): Promise<void> {
    const [, receiver] = this.#sides();
    this.#percent = await receiver.ask<number>({ do: 'idle', ms: idleMsOf(this.#lab.quick) });
  }

  results(): readonly Result[] {
    const note = 'CPU time of the waiting process, of one core';
    const settings = { ...settingsOf(this.#channels), idleMs: idleMsOf(this.#lab.quick) };
    return [{ id: this.name, group: this.group, who: 'leasehold', settings, unit: '%', value: this.#percent, note }];
  }

  async close(): Promise<void> {
    // The crew ends both processes.
  }
}

export function channelsScenarios(lab: Lab): readonly Scenario[] {
  return COUNTS.flatMap((channels) => {
    const sides = sidesIn(lab, channels);
    return [new FrameOnOneScenario(lab, channels, sides), new IdleScenario(lab, channels, sides)];
  });
}
