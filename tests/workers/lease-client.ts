/**
 * A process that takes leases as it is told, one at a time, and says what becomes of them. argv: runtime directory, mapping. It can be
 * killed or stopped at any point between two answers.
 */
import { connect, type Lease, LeaseholdError, type LeaseOptions } from '@leasehold/client';
import { serveQuestions, tell } from '../support/worker-side.ts';

export type LeaseMode = 'shared' | 'exclusive';

export type ClientQuestion =
  /** Takes a lease. Answers with a Granted when it has it. */
  | { readonly take: LeaseMode; readonly options?: Omit<LeaseOptions, 'signal'> }
  /** The same, answered at once; `granted` says how it ended. */
  | { readonly ask: LeaseMode; readonly options?: Omit<LeaseOptions, 'signal'> }
  /** Answers with the Granted, or the code, that became of `ask`. */
  | 'granted'
  /** Takes and releases in a tight loop until `stop`; `overlap`: the next before it releases the last, if it can. Answers at once. */
  | { readonly loop: LeaseMode; readonly by: LoopKind }
  /** Ends the loop. Answers with how often it had the lease. */
  | 'stop'
  /** Says a Granted unasked, as soon as it has a lease. */
  | { readonly sayWhenGranted: LeaseMode }
  /** Fills the first bytes of what it holds. Answers with how many there were. */
  | { readonly write: number }
  /** Answers with a LeaseState. */
  | 'state'
  /** Answers with a LeaseState when the lease has been lost. */
  | 'lost'
  /** Answers with the code that it failed with; null when it did not. */
  | 'renew'
  | 'markClean'
  | 'orphan'
  /** Answers with whether it was held until then. */
  | 'release'
  /** Makes a place for both modes. */
  | 'prepare'
  /** Answers with a Granted, or null: in memory or not at all. */
  | { readonly tryTake: LeaseMode; readonly options?: Omit<LeaseOptions, 'signal'> }
  | 'close';

export type LoopKind = 'lease' | 'tryLease' | 'overlap';

export interface Granted {
  readonly fencingToken: bigint;
  readonly previousOwnerDied: boolean;
}

export interface LeaseState {
  readonly bytes: number;
  /** `metadata.reason` of the loss; null while it is not lost. */
  readonly reason: string | null;
  readonly timeLeftMs: number;
}

const FOREVER_MS = 3_600_000;
const [, , runtimeDir = '', name = ''] = process.argv;
const broker = await connect({ runtimeDir, name: 'lease-client' });
const mapping = await broker.mapping(name);
let lease: Lease;
let asked: Promise<Granted | string>;
let looping: Promise<number>;
let stopping = false;

serveQuestions((question: ClientQuestion) => {
  if (typeof question === 'string') return answer(question);
  if ('take' in question) return take(question.take, question.options);
  if ('ask' in question) {
    asked = take(question.ask, question.options).catch(codeOf);
    return null;
  }
  if ('loop' in question) {
    looping = loop(question.loop, question.by);
    return null;
  }
  if ('sayWhenGranted' in question) {
    void take(question.sayWhenGranted).then(tell);
    return null;
  }
  if ('tryTake' in question) return tryTake(question.tryTake, question.options);
  const bytes = lease.bytes as Uint8Array;
  bytes.fill(question.write, 0, 64);
  return bytes.length;
});

function answer(question: Extract<ClientQuestion, string>): unknown {
  switch (question) {
    case 'granted':
      return asked;
    case 'stop':
      stopping = true;
      return looping;
    case 'state':
      return state();
    case 'lost':
      return new Promise<void>((resolve) => {
        if (lease.lost.aborted) resolve();
        lease.lost.addEventListener('abort', () => resolve());
      }).then(state);
    case 'renew':
      return codeIfFailed(() => lease.renew());
    case 'markClean':
      return codeIfFailed(() => lease.markClean());
    case 'orphan':
      return lease.orphan();
    case 'release':
      return lease.release();
    case 'prepare':
      return prepare();
    case 'close':
      return broker.close();
  }
}

/** `shared` first: who writes looks at the pages of all who are there. */
async function prepare(): Promise<null> {
  await mapping.prepare('shared');
  await mapping.prepare('exclusive');
  return null;
}

function codeOf(error: unknown): string {
  if (error instanceof LeaseholdError) return error.code;
  throw error;
}

function codeIfFailed(act: () => void): string | null {
  try {
    act();
    return null;
  } catch (error) {
    return codeOf(error);
  }
}

function state(): LeaseState {
  const { lost, bytes, timeLeftMs } = lease;
  const reason = lost.aborted ? ((lost.reason as LeaseholdError).metadata.reason ?? 'none') : null;
  return { bytes: bytes.length, reason, timeLeftMs };
}

const granted = ({ fencingToken, previousOwnerDied }: Lease): Granted => ({ fencingToken, previousOwnerDied });

async function take(mode: LeaseMode, options: LeaseOptions = {}): Promise<Granted> {
  // The two modes differ in what their bytes may be used for, which this does not.
  lease = await mapping.lease(mode as 'shared', { waitMs: FOREVER_MS, ...options });
  return granted(lease);
}

function tryTake(mode: LeaseMode, options: LeaseOptions = {}): Granted | null {
  const taken = mapping.tryLease(mode as 'shared', options);
  if (taken === null) return null;
  lease = taken;
  return granted(taken);
}

/** Leaves nobody more time than one turn of the event loop between a release and the next try. */
async function loop(mode: LeaseMode, by: LoopKind): Promise<number> {
  await prepare();
  let held = 0;
  let last: Lease | null = null;
  while (!stopping) {
    if (by !== 'overlap') last?.release();
    const next: Lease | null =
      by === 'lease'
        ? await mapping.lease(mode as 'shared', { waitMs: FOREVER_MS })
        : mapping.tryLease(mode as 'shared');
    if (by === 'overlap') last?.release();
    last = next;
    if (last !== null) held += 1;
    await new Promise(setImmediate);
  }
  last?.release();
  return held;
}
