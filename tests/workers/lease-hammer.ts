/**
 * One of many processes that want the same lease: takes it in every way there is, does a read-modify-write in many steps under it, and
 * reports what it saw. argv: a HammerTask as JSON. Sends HammerReports on its own, the first when it begins; ends when it is sent anything.
 */
import { connect, type Lease, LeaseholdError, type Mapping, monotonicNs } from '@leasehold/client';
import { newSeed, seededRandom } from '../support/checked-frames.ts';
import { Journal, shortToken } from '../support/lease-journal.ts';
import { tell } from '../support/worker-side.ts';

export interface HammerTask {
  readonly runtimeDir: string;
  readonly mapping: string;
  /** This process's number, from 1. */
  readonly writer: number;
  readonly seed: number;
  readonly ttlMs: number;
}

export interface Section {
  readonly mode: 'shared' | 'exclusive';
  /** Without its epoch. */
  readonly token: number;
  /** After the grant, and before the release, ns of CLOCK_MONOTONIC. */
  readonly fromNs: number;
  readonly toNs: number;
  /** Whether it was held until it was released. */
  readonly held: boolean;
  /** Whether its record was made the newest. */
  readonly finished: boolean;
}

export interface HammerReport {
  readonly sections: readonly Section[];
  /** What must never be. */
  readonly violations: readonly string[];
  /** Late stores of others that were recognised. */
  readonly lateStores: number;
  /** Leases had by `tryLease`. */
  readonly inMemory: number;
  /** Codes that a lease was refused with, and how often. */
  readonly refusals: Readonly<Record<string, number>>;
  /** Nothing comes after this. */
  readonly done: boolean;
}

const SECTIONS_PER_REPORT = 32;
const REPORT_EVERY_NS = 50e6;
const WAIT_MS = 60_000;
const SPIN_NS_MAX = 300_000;
const REST_MS_MAX = 12;
const CALM_MS_MAX = 200;
const PHASE_NS = 1.5e9;

/** The bytes of a lease are gone. */
class Gone extends Error {}

const task = JSON.parse(process.argv[2] ?? '{}') as HammerTask;
const random = seededRandom(task.seed ?? newSeed());
let sections: Section[] = [];
let violations: string[] = [];
let refusals: Record<string, number> = {};
let lateStores = 0;
let inMemory = 0;
let reportedNs = monotonicNs();
let stopping = false;
process.once('message', () => {
  stopping = true;
});

const broker = await connect({ runtimeDir: task.runtimeDir, name: `hammer ${task.writer}` });
const mapping = await broker.mapping(task.mapping);
await Promise.all([mapping.prepare('shared'), mapping.prepare('exclusive')]);
report(false);
while (!stopping) {
  const had = await section(mapping);
  if (sections.length >= SECTIONS_PER_REPORT || monotonicNs() - reportedNs > REPORT_EVERY_NS) report(false);
  await rest(had);
}
await broker.close();
report(true);
process.disconnect();

function report(done: boolean): void {
  tell({ sections, violations, refusals, lateStores, inMemory, done } satisfies HammerReport);
  [sections, violations, refusals, lateStores, inMemory] = [[], [], {}, 0, 0];
  reportedNs = monotonicNs();
}

/**
 * By turns, everybody wants the lease all the time, so that the broker decides, and hardly ever, so that memory does. Who did not get
 * it leaves the processor to others.
 */
async function rest(had: boolean): Promise<void> {
  const calm = Math.floor(monotonicNs() / PHASE_NS) % 2 === 0;
  if (!calm && had && random() < 0.5) return new Promise(setImmediate);
  return new Promise((resolve) => void setTimeout(resolve, random() * (calm ? CALM_MS_MAX : REST_MS_MAX)));
}

/** What a step of real work may be followed by: nothing, other work of this process, or a long calculation. */
async function pause(): Promise<void> {
  const kind = random();
  if (kind < 0.3) return new Promise(setImmediate);
  if (kind > 0.6) return;
  const untilNs = monotonicNs() + random() * SPIN_NS_MAX;
  while (monotonicNs() < untilNs);
}

/** Null when there was none to be had. */
async function take(mode: 'shared' | 'exclusive'): Promise<Lease | null> {
  const renew = random() < 0.5 ? 'auto' : 'manual';
  const options = { ttlMs: task.ttlMs, renew } as const;
  // The two cannot be told apart by their types here.
  const wanted = mode as 'shared';
  try {
    if (random() < 0.4) {
      const lease = mapping.tryLease(wanted, options);
      if (lease !== null) inMemory += 1;
      return lease;
    }
    if (random() < 0.1)
      return await mapping.lease(wanted, { ...options, signal: AbortSignal.timeout(Math.ceil(random() * 20)) });
    return await mapping.lease(wanted, { ...options, waitMs: WAIT_MS });
  } catch (error) {
    if (!(error instanceof LeaseholdError)) throw error;
    refusals[error.code] = (refusals[error.code] ?? 0) + 1;
    return null;
  }
}

/** @returns whether it got the lease */
async function section(of: Mapping): Promise<boolean> {
  const mode = random() < 0.5 ? 'shared' : 'exclusive';
  const lease = await take(mode);
  if (lease === null) return false;
  const fromNs = monotonicNs();
  const seen: string[] = [];
  let finished = false;
  try {
    if (mode === 'shared') await readSection(lease, seen);
    else finished = await writeSection(lease, seen);
    if (finished && lease.previousOwnerDied) lease.markClean();
  } catch (error) {
    if (!(error instanceof Gone || (error instanceof LeaseholdError && error.code === 'LEASE_LOST'))) throw error;
    checkGone(lease, of);
  }
  const toNs = monotonicNs();
  const held = lease.release();
  // What was seen counts against the lock only if the lock says that nobody could have come in.
  if (held) violations.push(...seen.map((text) => `${mode} ${shortToken(lease.fencingToken)}: ${text}`));
  else checkGone(lease, of);
  sections.push({ mode, token: shortToken(lease.fencingToken), fromNs, toNs, held, finished });
  return true;
}

/** A lease that is lost says so everywhere. */
function checkGone(lease: Lease, { name }: Mapping): void {
  const { lost, bytes } = lease;
  const { code, metadata } = (lost.reason ?? {}) as Partial<LeaseholdError>;
  const told = lost.aborted && code === 'LEASE_LOST' && metadata?.reason === 'EXPIRED';
  const leftNs = Number(lease.deadlineNs) - monotonicNs();
  if (told && leftNs <= 0 && bytes.length === 0 && !lease.release()) return;
  violations.push(`lost lease of ${name}: ${code} ${metadata?.reason}, ${bytes.length} B, ${leftNs} ns before its end`);
}

function journalOf(lease: Lease): Journal {
  return new Journal(() => {
    // A reader's bytes are as little writable as their type says; a journal that is only read writes nothing.
    const bytes = lease.bytes as Uint8Array;
    if (bytes.length === 0) throw new Gone();
    return bytes;
  });
}

/** @returns whether its record was made the newest */
async function writeSection(lease: Lease, seen: string[]): Promise<boolean> {
  const journal = journalOf(lease);
  const token = shortToken(lease.fencingToken);
  const before = journal.open(token);
  if (before === null) return fault(seen, 'the head never stood still');
  if (before.opened >= token) return fault(seen, `${before.opened} has opened before`);
  if (before.opened !== before.finished && !lease.previousOwnerDied) {
    seen.push(`${before.opened} did not finish, and nobody says so`);
  }
  journal.owner = token;
  await pause();
  const base = journal.read(before.finished);
  if (typeof base === 'string') return fault(seen, base);
  for (const step of journal.steps({ token, base: base.token, count: base.count + 1, writer: task.writer })) {
    step();
    await pause();
    checkAlone(journal, token, seen);
  }
  if (journal.finish(token, base.token)) return true;
  const { opened, finished } = journal.head;
  return fault(seen, `head is ${opened}, ${finished} instead of ${token}, ${base.token}`);
}

function fault(seen: string[], text: string): false {
  seen.push(text);
  return false;
}

/** Nobody else writes: an older token is a late store of who has lost its lease, a newer one is a second writer. */
function checkAlone(journal: Journal, token: number, seen: string[]): void {
  const { owner } = journal;
  if (owner > token) seen.push(`${owner} writes at the same time`);
  if (owner >= token) return;
  lateStores += 1;
  journal.owner = token;
}

async function readSection(lease: Lease, seen: string[]): Promise<void> {
  const journal = journalOf(lease);
  const newest = shortToken(lease.fencingToken);
  const before = journal.head;
  if (before.opened > newest) seen.push(`${before.opened} has opened, the newest token is ${newest}`);
  if (before.opened !== before.finished && !lease.previousOwnerDied) {
    seen.push(`${before.opened} did not finish, and nobody says so`);
  }
  const first = journal.read(before.finished);
  if (typeof first === 'string') seen.push(first);
  for (let steps = 0; steps < 3; steps += 1) {
    await pause();
    const again = journal.read(before.finished);
    if (JSON.stringify(again) !== JSON.stringify(first))
      seen.push(`${JSON.stringify(first)} became ${JSON.stringify(again)}`);
    const { opened, finished } = journal.head;
    if (opened === before.opened && finished === before.finished) continue;
    // Every writer that was removed has a token below that of who comes next.
    if (Math.max(opened, finished) >= newest) seen.push(`${opened} opened, ${finished} finished while it was read`);
    else lateStores += 1;
  }
}
