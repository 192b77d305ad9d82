/** A publisher process to be stopped or killed: with a slot half written, or in the middle of whatever it does. */
import { type Broker, connect, LeaseholdError, type Loan, type Publisher } from '@leasehold/client';
import { CHECKED_BYTES_MIN, seededRandom, writeChecked } from '../support/checked-frames.ts';
import { serveQuestions } from '../support/worker-side.ts';

export type PublisherQuestion =
  /** Asks for the lease. Answers as soon as it is queued, or promoted at once. */
  | { readonly queue: { readonly channel: string; readonly seed: number } }
  /** Answers with a Promotion. */
  | 'promotion'
  /** Publishes so many frames. Answers with a PublisherState. */
  | { readonly publish: number }
  /** Loans a slot and fills half of it, leaving what an earlier frame wrote in the rest. */
  | 'half'
  /** Publishes what `half` began. Answers with a PublisherState, whose `code` says how it failed. */
  | 'publish-half'
  /** Publishes as fast as it can from now on, until `stop` or until it fails. Answers at once. */
  | 'churn'
  /** Waits until `churn` fails. Answers with a PublisherState. */
  | 'until-failure'
  /** Ends `churn`. Answers with a PublisherState. */
  | 'stop'
  | 'finish';

export interface Promotion {
  readonly fencingToken: bigint;
  readonly previousOwnerDied: boolean;
}

export interface PublisherState {
  readonly published: number;
  /** How often there was no slot. */
  readonly dropped: number;
  readonly last: bigint;
  /** Why publishing failed; null while it has not. */
  readonly code: string | null;
  readonly sessionId: bigint;
}

const PAYLOAD_BYTES_MAX = 1024;
const FRAMES_PER_TURN = 16;

const runtimeDir = process.argv[2];
let broker: Broker;
let opening: Promise<Publisher>;
let publisher: Publisher;
let random: () => number;
let number = 0;
let last = 0n;
let half: Loan;
let churning: Promise<string | null> | undefined;
let stopping = false;

serveQuestions((question: PublisherQuestion) => {
  if (typeof question === 'object') return 'queue' in question ? queue(question.queue) : publishMany(question.publish);
  switch (question) {
    case 'promotion':
      return promotion();
    case 'half':
      half = publisher.tryLoan() ?? raise('there was no slot to fill by half');
      half.bytes.fill(0xa5, 0, half.bytes.length / 2);
      return null;
    case 'publish-half':
      // Once the lease is known to be lost, the loan is taken back and has no bytes to write.
      return failure(() => (half.bytes.length > 0 ? publishIn(half) : half.publish())).then(state);
    case 'churn':
      churning = churn();
      return null;
    case 'stop':
      stopping = true;
      return Promise.resolve(churning).then((code) => state(code ?? null));
    case 'until-failure':
      return Promise.resolve(churning).then((code) => state(code ?? null));
    case 'finish':
      return publisher.finish().then(() => publisher.close());
  }
});

function raise(message: string): never {
  throw new Error(message);
}

async function queue({ channel, seed }: { channel: string; seed: number }): Promise<null> {
  random = seededRandom(seed);
  broker = await connect({ runtimeDir });
  const found = await broker.channel(channel);
  await new Promise<void>((resolve, reject) => {
    opening = found.openPublisher({ onQueued: () => resolve() });
    opening.then(() => resolve(), reject);
  });
  return null;
}

async function promotion(): Promise<Promotion> {
  publisher = await opening;
  const { fencingToken, previousOwnerDied } = publisher;
  return { fencingToken, previousOwnerDied };
}

function state(code: string | null): PublisherState {
  return { published: publisher.published, dropped: publisher.dropped, last, code, sessionId: broker.sessionId };
}

/** The code with which `act` failed. */
async function failure(act: () => unknown): Promise<string | null> {
  try {
    await act();
    return null;
  } catch (error) {
    return error instanceof LeaseholdError ? error.code : String(error);
  }
}

function publishIn(loan: Loan): void {
  const length = CHECKED_BYTES_MIN + Math.floor(random() * (PAYLOAD_BYTES_MAX - CHECKED_BYTES_MIN + 1));
  number += 1;
  const { fencingToken } = publisher;
  const payloadBytes = writeChecked(loan.bytes, length, { number, fencingToken });
  loan.publish({ payloadBytes });
  last = loan.sequence ?? 0n;
}

async function publishMany(frames: number): Promise<PublisherState> {
  const end = publisher.published + frames;
  while (publisher.published < end) {
    publishIn(await publisher.loan());
    if (publisher.published % FRAMES_PER_TURN === 0) await new Promise(setImmediate);
  }
  return state(null);
}

function churn(): Promise<string | null> {
  return failure(async () => {
    for (let tries = 1; !stopping; tries += 1) {
      const loan = publisher.tryLoan();
      if (loan !== null) publishIn(loan);
      if (tries % FRAMES_PER_TURN === 0) await new Promise(setImmediate);
    }
  });
}
