/** What it costs to ask the broker, beside what grpc-js alone costs: every call at 1, 16 and 64 in flight, in the same rounds. */
import { join } from 'node:path';
import { environment } from '../broker-process.ts';
import { Samples } from '../measure.ts';
import { once } from '../once.ts';
import { type Member, programPath } from '../processes.ts';
import type { Result } from '../report-model.ts';
import type { Lab, Scenario } from '../scenario.ts';
import type { AskingQuestion } from './asking-program.ts';
import type { BareQuestion } from './bare-program.ts';
import { CALL_IDS, CALLS, type CallId, IN_FLIGHT, samplesOf } from './calls.ts';

type Asker = () => Promise<Member<AskingQuestion>>;

/** Started at first use; the bare server before it. Neither is pinned, as the broker is not. */
function askerIn(lab: Lab): Asker {
  return once(async () => {
    const bareAddress = `unix:${join(lab.directory, 'bare.sock')}`;
    const bare = lab.crew.start<BareQuestion>({
      name: 'bare grpc-js',
      program: programPath('control/bare-program.js'),
      env: environment(),
    });
    await bare.ask(bareAddress);
    const asker = lab.crew.start<AskingQuestion>({
      name: 'asking',
      program: programPath('control/asking-program.js'),
      env: environment(lab.runtimeDir),
    });
    const options = { lanes: Math.max(...IN_FLIGHT), runtimeDir: lab.runtimeDir, bareAddress };
    await asker.ask({ do: 'open', options });
    return asker;
  });
}

class CallScenario implements Scenario {
  readonly group = 'control-plane';
  readonly when = 'every-round';
  readonly name: string;
  readonly #lab: Lab;
  readonly #id: CallId;
  readonly #inFlight: number;
  readonly #asker: Asker;
  readonly #tookNs = new Samples();

  constructor(lab: Lab, id: CallId, inFlight: number, asker: Asker) {
    this.name = `control-plane/${CALLS[id].who}/${id}/${inFlight}`;
    this.#lab = lab;
    this.#id = id;
    this.#inFlight = inFlight;
    this.#asker = asker;
  }

  async open(): Promise<void> {
    await this.#asker();
  }

  async measure(counted: boolean): Promise<void> {
    const inFlight = this.#inFlight;
    const count = samplesOf(inFlight, this.#lab.quick);
    const tookNs = await (await this.#asker()).ask<Float64Array>({ do: 'time', id: this.#id, inFlight, count });
    if (counted) this.#tookNs.add(tookNs);
  }

  results(): readonly Result[] {
    const { who, note } = CALLS[this.#id];
    const settings = { inFlight: this.#inFlight, socket: 'unix', channelz: 'off' };
    const distribution = this.#tookNs.distribution();
    return [{ id: this.name, group: this.group, who, settings, unit: 'ns', distribution, note }];
  }

  async close(): Promise<void> {
    // The crew ends all processes.
  }
}

export function controlScenarios(lab: Lab): readonly Scenario[] {
  const asker = askerIn(lab);
  return IN_FLIGHT.flatMap((inFlight) => CALL_IDS.map((id) => new CallScenario(lab, id, inFlight, asker)));
}
