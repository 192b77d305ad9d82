/**
 * One run: every variant a little in every round, in another order each time, so that whatever drifts (other load, heat, the host)
 * drifts for all alike. The first round is not counted: code is compiled and views are made in it.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CONTROL_CALLS, type ControlCall } from './control-plane.ts';
import type { Sender } from './hand-off.ts';
import type { LeaseReport } from './lease-figures.ts';
import { type LeasePlan, LeaseRun } from './lease-run.ts';
import { chooseCores, describeMachine, type Machine } from './machine.ts';
import { type Distribution, distribution, latenciesNs } from './measure.ts';
import { Side, startBroker, stop } from './processes.ts';
import { FRAME_BYTES, idOf, LEAD_IN, SMALL_BYTES, VARIANTS, type Variant } from './variants.ts';

export interface HandOffResult extends Omit<Variant, 'handOffs'> {
  /** Null: no shared memory. */
  readonly memory: Sender['memory'];
  /** One way. */
  readonly latency: Distribution;
}

export interface CallResult {
  readonly id: ControlCall;
  readonly name: string;
  /** Round trip. */
  readonly latency: Distribution;
}

export interface BenchReport {
  readonly machine: Machine;
  readonly quick: boolean;
  readonly rounds: number;
  readonly tookSeconds: number;
  readonly handOffs: readonly HandOffResult[];
  /** p50 of the large payload by p50 of the small one. */
  readonly ratios: Readonly<Record<'poll' | 'spin' | 'park', number>>;
  readonly controlPlane: readonly CallResult[];
  readonly leases: LeaseReport;
}

/** How much is measured. */
interface Plan {
  readonly rounds: number;
  readonly handOffs: (variant: Variant) => number;
  readonly calls: number;
  readonly leases: LeasePlan;
}

const FULL: Plan = {
  rounds: 10,
  handOffs: (variant) => variant.handOffs / 10,
  calls: 100,
  leases: { batches: 200, calls: 200, handOvers: 50, deaths: 20 },
};
const QUICK: Plan = {
  rounds: 2,
  handOffs: (variant) => Math.max(10, variant.handOffs / 200),
  calls: 10,
  leases: { batches: 20, calls: 10, handOvers: 5, deaths: 2 },
};

const CALLS = Object.keys(CONTROL_CALLS) as ControlCall[];

interface Measured {
  readonly memories: ReadonlyMap<string, Sender['memory']>;
  readonly handOffs: ReadonlyMap<string, number[]>;
  readonly calls: ReadonlyMap<ControlCall, number[]>;
  readonly leases: LeaseReport;
}

export async function runBench(quick: boolean): Promise<BenchReport> {
  const startedMs = performance.now();
  const plan = quick ? QUICK : FULL;
  const machine = describeMachine(chooseCores());
  const directory = mkdtempSync(join(tmpdir(), 'lh-bench-'));
  const runtimeDir = join(directory, 'run');
  const started: { stop(): Promise<void> }[] = [];
  try {
    const broker = await startBroker(runtimeDir, join(directory, 'state'));
    started.unshift({ stop: () => stop(broker) });
    const startVictim = (): Side => new Side('victim', null, runtimeDir, directory);
    const side = (role: 'sender' | 'receiver'): Side => {
      const made = new Side(role, machine.pinned?.[role] ?? null, runtimeDir, directory);
      started.unshift({ stop: () => stop(made.child) });
      return made;
    };
    const [sender, receiver] = [side('sender'), side('receiver')];
    const measured = await Promise.race([measureAll({ sender, receiver, startVictim }, plan), interrupted()]);
    const tookSeconds = (performance.now() - startedMs) / 1_000;
    return { machine, quick, rounds: plan.rounds, tookSeconds, ...summarise(measured) };
  } finally {
    for (const process of started) await process.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function openAll(sender: Side, receiver: Side): Promise<Map<string, Sender['memory']>> {
  const memories = new Map<string, Sender['memory']>();
  for (const variant of VARIANTS) {
    memories.set(variant.id, await sender.ask<Sender['memory']>({ do: 'open', variant }));
    await receiver.ask({ do: 'open', variant });
  }
  return memories;
}

/** So that what was started is ended. */
async function interrupted(): Promise<never> {
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  throw new Error('interrupted');
}

interface Sides {
  readonly sender: Side;
  readonly receiver: Side;
  readonly startVictim: () => Side;
}

async function measureAll(sides: Sides, plan: Plan): Promise<Measured> {
  const { sender, receiver } = sides;
  const memories = await openAll(sender, receiver);
  const leases = new LeaseRun(sides, plan.leases);
  await leases.open();
  const handOffs = new Map<string, number[]>(VARIANTS.map(({ id }) => [id, []]));
  const calls = new Map<ControlCall, number[]>(CALLS.map((call) => [call, []]));
  for (let round = 0; round <= plan.rounds; round += 1) {
    const counted = round > 0;
    for (const variant of orderOf(round)) {
      const latencies = await measureBatch(sender, receiver, variant.id, LEAD_IN + plan.handOffs(variant));
      if (counted) handOffs.get(variant.id)?.push(...latencies);
    }
    for (const call of CALLS) {
      const tookNs = await sender.ask<number[]>({ do: 'call', call, count: plan.calls });
      if (counted) calls.get(call)?.push(...tookNs);
    }
    await leases.round(counted);
  }
  return { memories, handOffs, calls, leases: leases.report() };
}

/** Another first variant in every round, and backwards in every other one, so that none always follows the same one. */
function orderOf(round: number): Variant[] {
  const start = round % VARIANTS.length;
  const order = [...VARIANTS.slice(start), ...VARIANTS.slice(0, start)];
  return round % 2 === 0 ? order : order.reverse();
}

async function measureBatch(sender: Side, receiver: Side, id: string, count: number): Promise<number[]> {
  await receiver.ask({ do: 'expect', id, count });
  const [sentNs, heldNs] = await Promise.all([
    sender.ask<Float64Array>({ do: 'send', id, count }),
    receiver.ask<Float64Array>({ do: 'collect' }),
  ]);
  return latenciesNs(sentNs, heldNs, LEAD_IN);
}

function summarise(measured: Measured): Pick<BenchReport, 'handOffs' | 'ratios' | 'controlPlane' | 'leases'> {
  const handOffs = VARIANTS.map(({ handOffs: _, ...variant }) => ({
    ...variant,
    memory: measured.memories.get(variant.id) ?? null,
    latency: distribution(measured.handOffs.get(variant.id) ?? []),
  }));
  const p50Ns = (id: string): number => handOffs.find((result) => result.id === id)?.latency.p50Ns ?? Number.NaN;
  const ratio = (name: string): number => p50Ns(idOf(name, FRAME_BYTES)) / p50Ns(idOf(name, SMALL_BYTES));
  return {
    handOffs,
    ratios: { poll: ratio('poll'), spin: ratio('spin'), park: ratio('park') },
    controlPlane: CALLS.map((id) => ({
      id,
      name: CONTROL_CALLS[id],
      latency: distribution(measured.calls.get(id) ?? []),
    })),
    leases: measured.leases,
  };
}
