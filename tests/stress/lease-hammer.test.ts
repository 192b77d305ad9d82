/**
 * Sixteen processes that want one lease, killed and stopped at random: never two writers, never a writer with a reader, nothing counted
 * that is not reported and nothing reported that is not counted, and the lock moves on in time.
 */
import { connect, type Mapping, monotonicNs } from '@leasehold/client';
import { expect, it, onTestFinished } from 'vitest';
import { newSeed, seededRandom } from '../support/checked-frames.ts';
import { JOURNAL_BYTES, Journal, type JournalRecord } from '../support/lease-journal.ts';
import { startWorker, type Worker } from '../support/processes.ts';
import { sharedBroker } from '../support/shared-broker.ts';
import type { HammerReport, HammerTask, Section } from '../workers/lease-hammer.ts';

const CLIENTS = 16;
const RUN_MS = Number(process.env.LEASE_HAMMER_MS ?? 30_000);
const TTL_MS = 300;
/** The lock is never stuck for longer. */
const STUCK_MS_MAX = TTL_MS + 1_000;
const CHAOS_EVERY_MS_MAX = 250;
const KILLS = 0.25;
/** How many of those that are killed or stopped are writing just then: each of them keeps the lease for up to a TTL. */
const INSIDE = 0.2;
/** At most so many are stopped at once: each may take up a whole TTL of whoever waits behind it. */
const STOPPED_MAX = 2;
const STOP_MS_MAX = 2.5 * TTL_MS;
const MONITOR_REST_MS = 100;
const LOOKS_MAX = 10_000;

const { runtimeDir } = sharedBroker();
const rest = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

/** A client, and all that it has said. */
interface Client {
  readonly worker: Worker;
  readonly writer: number;
  readonly reports: HammerReport[];
}

function startClient(mapping: string, writer: number, seed: number): Client {
  const task: HammerTask = { runtimeDir, mapping, writer, seed: seed + writer, ttlMs: TTL_MS };
  const worker = startWorker('lease-hammer', [JSON.stringify(task)]);
  const reports: HammerReport[] = [];
  worker.child.on('message', ({ value }: { value: HammerReport }) => reports.push(value));
  return { worker, writer, reports };
}

/** Kills and stops clients until the time is over: some while they write, others at a moment that nobody chose. */
async function chaos(clients: Client[], start: () => Client, random: () => number, inside: () => number) {
  const killed: Client[] = [];
  const stopped = new Map<Client, Promise<void>>();
  const untilNs = monotonicNs() + RUN_MS * 1e6;
  while (monotonicNs() < untilNs) {
    await rest(random() * CHAOS_EVERY_MS_MAX);
    const writer = random() < INSIDE ? await somebodyInside(inside) : 0;
    const at =
      writer === 0 ? Math.floor(random() * clients.length) : clients.findIndex((each) => each.writer === writer);
    const victim = clients[at];
    if (victim === undefined || victim.reports.length === 0 || stopped.has(victim)) continue;
    if (random() < KILLS) {
      victim.worker.kill('SIGKILL');
      killed.push(victim);
      clients[at] = start();
    } else if (stopped.size < STOPPED_MAX) {
      victim.worker.kill('SIGSTOP');
      const resumed = rest(random() * STOP_MS_MAX).then(() => {
        victim.worker.kill('SIGCONT');
        stopped.delete(victim);
      });
      stopped.set(victim, resumed);
    }
  }
  await Promise.all(stopped.values());
  return killed;
}

/** The number of a client that is writing; 0 when none was for a while. */
async function somebodyInside(inside: () => number): Promise<number> {
  for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
    const writer = inside();
    if (writer !== 0) return writer;
    await new Promise(setImmediate);
  }
  return 0;
}

/** Wants the lock now and then, and never waits for it for longer than it may be stuck. */
async function monitor(mapping: Mapping, random: () => number, over: () => boolean): Promise<Section[]> {
  const sections: Section[] = [];
  for (let turn = 0; !over(); turn += 1) {
    const mode = turn % 2 === 0 ? 'shared' : 'exclusive';
    const lease = await mapping.lease(mode as 'shared', { waitMs: STUCK_MS_MAX, ttlMs: TTL_MS });
    const fromNs = monotonicNs();
    await rest(random() * 2);
    const toNs = monotonicNs();
    sections.push({
      mode,
      token: Number(lease.fencingToken & 0xffff_ffffn),
      fromNs,
      toNs,
      held: lease.release(),
      finished: false,
    });
    await rest(random() * MONITOR_REST_MS);
  }
  return sections;
}

/** Sections that were held to their end and overlap, one of them exclusive. */
function overlaps(sections: readonly Section[]): string[] {
  const found: string[] = [];
  let latest: Record<Section['mode'], Section | null> = { shared: null, exclusive: null };
  for (const section of sections.filter(({ held }) => held).sort((a, b) => a.fromNs - b.fromNs)) {
    const { shared, exclusive } = latest;
    const others = section.mode === 'exclusive' ? [shared, exclusive] : [exclusive];
    for (const other of others) {
      if (other === null || other.toNs <= section.fromNs) continue;
      found.push(
        `${section.mode} ${section.token} from ${section.fromNs}, ${other.mode} ${other.token} to ${other.toNs}`,
      );
    }
    const before = latest[section.mode];
    if (before === null || before.toNs < section.toNs) latest = { ...latest, [section.mode]: section };
  }
  return found;
}

/** The longest time in which nobody got the lock, ms. */
function longestPauseMs(sections: readonly Section[]): number {
  const times = sections.map(({ fromNs }) => fromNs).sort((a, b) => a - b);
  return Math.max(...times.slice(1).map((time, i) => (time - (times[i] ?? time)) / 1e6));
}

/** What the journal and the clients say of one another that does not agree. */
function disagreements(
  history: readonly JournalRecord[],
  clients: readonly Client[],
  killed: readonly Client[],
): string[] {
  const records = new Map(history.map((record) => [record.token, record]));
  const mortal = new Set(killed.map(({ writer }) => writer));
  const found: string[] = [];
  const reported = new Set<number>();
  for (const { mode, token, held, finished } of clients.flatMap(sectionsOf)) {
    if (mode === 'shared') continue;
    reported.add(token);
    if (finished !== records.has(token))
      found.push(`${token}: finished ${finished}, in the journal ${records.has(token)}`);
    if (held && !finished) found.push(`${token} was held to its end and could not finish`);
  }
  for (const { token, writer } of history) {
    if (!reported.has(token) && !mortal.has(writer)) found.push(`${token} of ${writer}, who lives, was never reported`);
  }
  return found;
}

const sectionsOf = ({ reports }: Client): Section[] => reports.flatMap(({ sections }) => sections);

/** All that a run has left. */
interface Outcome {
  readonly all: readonly Client[];
  readonly killed: readonly Client[];
  readonly monitored: readonly Section[];
  readonly history: readonly JournalRecord[] | string;
}

async function hammer(seed: number): Promise<Outcome> {
  const random = seededRandom(seed);
  const broker = await connect({ runtimeDir });
  onTestFinished(() => broker.close());
  const options = { sizeBytes: JOURNAL_BYTES, pages: 'never', maxParticipants: 128 } as const;
  const mapping = await broker.createMapping('stress/hammer', options);
  await using attachment = await mapping.attach('read');
  const outside = new Journal(() => attachment.bytes as Uint8Array);
  const all: Client[] = [];
  const start = (): Client => {
    const client = startClient(mapping.name, all.length + 1, seed);
    all.push(client);
    return client;
  };
  const clients = Array.from({ length: CLIENTS }, start);
  await Promise.all(clients.map(({ worker }) => worker.next()));
  let over = false;
  const monitoring = monitor(mapping, random, () => over);
  // The monitor ends before the chaos only by failing.
  const killed = await Promise.race([
    chaos(clients, start, random, () => outside.writerInside),
    monitoring.then(() => []),
  ]);
  over = true;
  const monitored = await monitoring;
  for (const { worker } of clients) worker.child.send('stop');
  for (const { writer, reports, worker } of clients) {
    const { code, stderr } = await worker.ended;
    const ending = { writer, code, stderr, done: reports.at(-1)?.done };
    expect(ending, `seed ${seed}`).toEqual({ writer, code: 0, stderr: '', done: true });
  }
  return { all, killed, monitored, history: outside.history() };
}

/** Whether all that this is about has happened, and how often. */
function summaryOf({ all, killed, monitored, history }: Outcome) {
  const sections = all.flatMap(sectionsOf);
  const reports = all.flatMap((client) => client.reports);
  return {
    killed: killed.length,
    shared: sections.filter(({ mode }) => mode === 'shared').length,
    exclusive: history.length,
    lost: sections.filter(({ held }) => !held).length,
    monitored: monitored.length,
    inMemory: reports.reduce((sum, report) => sum + report.inMemory, 0),
    lateStores: reports.reduce((sum, report) => sum + report.lateStores, 0),
  };
}

it(
  `${CLIENTS} processes hammer one lease for ${RUN_MS / 1000} s, killed and stopped at random, and it holds`,
  async () => {
    const seed = newSeed();
    console.info(`lease-hammer: TEST_SEED=${seed}`);
    const outcome = await hammer(seed);
    const { all, killed, monitored, history } = outcome;
    const reports = all.flatMap((client) => client.reports);
    const violations = reports.flatMap((report) => report.violations);
    expect(violations, `seed ${seed}`).toEqual([]);
    const sections = [...all.flatMap(sectionsOf), ...monitored];
    expect(overlaps(sections), `seed ${seed}`).toEqual([]);
    expect(longestPauseMs(sections), `seed ${seed}`).toBeLessThan(STUCK_MS_MAX);
    if (typeof history === 'string') throw new Error(`seed ${seed}: ${history}`);
    expect(history[0]?.count, `seed ${seed}`).toBe(history.length);
    expect(disagreements(history, all, killed), `seed ${seed}`).toEqual([]);
    // Nobody is refused a lease who did not give up himself.
    const refusals = new Set(reports.flatMap((report) => Object.keys(report.refusals)));
    expect([...refusals], `seed ${seed}`).toEqual(['ABORTED']);
    const { lateStores, ...happened } = summaryOf(outcome);
    console.info(`lease-hammer: ${JSON.stringify({ ...happened, lateStores })}`);
    for (const [what, times] of Object.entries(happened)) expect(times, `${what}, seed ${seed}`).toBeGreaterThan(0);
  },
  RUN_MS + 120_000,
);
