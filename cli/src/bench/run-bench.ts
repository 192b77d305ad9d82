/**
 * One run: a broker of its own in a temporary directory, its scenarios in interleaved rounds, a report. However it ends, what it
 * started is ended and its directory is removed before this returns.
 */
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '../program/errors.ts';
import { startBroker } from './broker-process.ts';
import { channelsScenarios } from './channels/channels-scenarios.ts';
import { controlScenarios } from './control/control-scenarios.ts';
import { scaleScenarios } from './control/scale-scenarios.ts';
import { fanOutScenarios } from './fan-out/fan-out-scenarios.ts';
import { handOffScenarios } from './hand-off/hand-off-scenario.ts';
import { peerId, peerScenarios } from './hand-off/peer-scenario.ts';
import { PAYLOADS } from './hand-off/ways.ts';
import { leaseScenarios } from './leases/lease-scenarios.ts';
import { chooseCores, describeMachine } from './machine.ts';
import type { Peer } from './peer.ts';
import { Crew } from './processes.ts';
import { GROUPS, REPORT_FORMAT, type Report, type Result } from './report-model.ts';
import { orderOf } from './rounds.ts';
import type { Lab, MakeScenarios, Scenario } from './scenario.ts';
import { throughputScenarios } from './throughput/throughput-scenarios.ts';

const ROUNDS = 10;
const QUICK_ROUNDS = 1;

const MAKERS: readonly MakeScenarios[] = [
  handOffScenarios,
  throughputScenarios,
  fanOutScenarios,
  channelsScenarios,
  leaseScenarios,
  controlScenarios,
  scaleScenarios,
];

export interface RunOptions {
  readonly quick: boolean;
  /** Groups, or beginnings of ids, up to a slash. Absent: all. */
  readonly only?: readonly string[];
  /** Measured beside Leasehold. */
  readonly peers?: readonly Peer[];
  /** Aborted: the run ends, with its reason. */
  readonly signal: AbortSignal;
  /** Told what is going on. */
  readonly say: (text: string) => void;
}

export async function runBench(options: RunOptions): Promise<Report> {
  options.signal.throwIfAborted();
  const startedAt = new Date().toISOString();
  const startedMs = performance.now();
  const cores = chooseCores();
  const machine = describeMachine(cores);
  const rounds = options.quick ? QUICK_ROUNDS : ROUNDS;
  const results = await inLab({ cores, rounds, options }, (lab) => measureAll(lab, options));
  const tookSeconds = (performance.now() - startedMs) / 1_000;
  return { format: REPORT_FORMAT, machine, startedAt, tookSeconds, quick: options.quick, rounds, results };
}

interface LabOptions extends Pick<Lab, 'cores' | 'rounds'> {
  readonly options: RunOptions;
}

/** Whatever `work` starts in the lab is ended when it is over. */
async function inLab<T>({ cores, rounds, options }: LabOptions, work: (lab: Lab) => Promise<T>): Promise<T> {
  const { quick, signal, peers = [] } = options;
  const directory = await mkdtemp(join(tmpdir(), 'lh-bench-'));
  // A second Ctrl-C ends this process on the spot.
  const removeNow = (): void => rmSync(directory, { recursive: true, force: true });
  process.once('exit', removeNow);
  const crew = new Crew();
  const endAll = async (): Promise<number> => {
    const ended = await crew.close();
    for (const peer of peers) await peer.stop();
    return ended;
  };
  const working = async (): Promise<T> => {
    const { runtimeDir } = await startBroker(crew, directory);
    return work({ crew, runtimeDir, directory, cores, quick, rounds, signal });
  };
  try {
    return await untilAborted(working(), options, endAll);
  } finally {
    await endAll();
    await rm(directory, { recursive: true, force: true });
    process.off('exit', removeNow);
  }
}

/** What `work` comes to; once aborted, `endAll` ends whatever it waits for, so that it ends itself. */
async function untilAborted<T>(
  work: Promise<T>,
  { signal, say }: RunOptions,
  endAll: () => Promise<number>,
): Promise<T> {
  const aborted = Promise.withResolvers<void>();
  const abort = (): void => aborted.resolve();
  signal.addEventListener('abort', abort);
  try {
    await Promise.race([work, aborted.promise]);
    if (!signal.aborted) return await work;
    say('interrupted: ending what was started');
    const ended = await endAll();
    await work.catch(() => undefined);
    say(`ended ${ended} processes`);
    throw signal.reason;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

async function measureAll(lab: Lab, options: RunOptions): Promise<readonly Result[]> {
  const { say } = options;
  const scenarios = await makeScenarios(lab, options);
  try {
    for (const scenario of scenarios) await scenario.open();
    const repeated = scenarios.filter(({ when }) => when === 'every-round');
    for (let round = 0; round <= lab.rounds; round += 1) {
      say(round === 0 ? 'a round to warm up' : `round ${round} of ${lab.rounds}`);
      for (const scenario of orderOf(repeated, round)) await measure(scenario, round > 0, lab);
    }
    for (const scenario of scenarios.filter(({ when }) => when === 'once')) {
      say(scenario.name);
      await measure(scenario, true, lab);
    }
    return inOrder(scenarios.flatMap((scenario) => scenario.results()));
  } finally {
    for (const scenario of scenarios) await scenario.close();
  }
}

async function measure(scenario: Scenario, counted: boolean, { signal }: Lab): Promise<void> {
  signal.throwIfAborted();
  try {
    await scenario.measure(counted);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${scenario.name}: ${why}`, { cause });
  }
}

async function makeScenarios(lab: Lab, options: RunOptions): Promise<readonly Scenario[]> {
  const asked = MAKERS.flatMap((make) => make(lab)).filter(({ name }) => isAsked(name, options.only));
  const peers = (options.peers ?? []).filter(({ name, waiting }) =>
    PAYLOADS.some((payloadBytes) => isAsked(peerId(name, waiting, payloadBytes), options.only)),
  );
  const scenarios = [...asked, ...(await peerScenarios(lab, peers, options.say))].filter(({ name }) =>
    isAsked(name, options.only),
  );
  if (scenarios.length === 0)
    throw new UsageError(`nothing that is measured here is called ${options.only?.join(' or ')}`);
  return scenarios;
}

/** Whether `only`, if there is one, asks for what has this name or id. */
export const isAsked = (name: string, only: readonly string[] | undefined): boolean =>
  only === undefined || only.some((wanted) => `${name}/`.startsWith(`${wanted}/`));

const inOrder = (results: readonly Result[]): readonly Result[] =>
  [...results].sort((left, right) => GROUPS.indexOf(left.group) - GROUPS.indexOf(right.group));
