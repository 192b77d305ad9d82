/**
 * A worker thread that connects, subscribes and takes frames with the whole thread, until the stream ends. It says `ready`, then what
 * it saw. workerData: runtime directory, channels, strategy; with several channels it waits on a WaitSet.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { connect, LeaseholdError, type Subscriber, type WaitStrategy } from '@leasehold/client';

export interface ThreadTask {
  readonly runtimeDir: string;
  readonly names: readonly string[];
  readonly wait: WaitStrategy;
}
/** What it saw. */
export interface ThreadReport {
  readonly taken: number;
  /** Frames that were not the next one of their channel. */
  readonly outOfOrder: number;
  readonly error: string | null;
}

const { runtimeDir, names, wait } = workerData as ThreadTask;
const broker = await connect({ runtimeDir });
const subscribers = await Promise.all(names.map((name) => broker.subscribe(name, { wait })));
const next = new Map(subscribers.map((subscriber) => [subscriber, 1n]));
let taken = 0;
let outOfOrder = 0;

function see(subscriber: Subscriber, sequence: bigint): void {
  if (sequence !== next.get(subscriber)) outOfOrder += 1;
  next.set(subscriber, sequence + 1n);
  taken += 1;
}

function takeAllOf(subscriber: Subscriber): void {
  for (let frame = subscriber.takeSync(); frame !== null; frame = subscriber.takeSync()) {
    see(subscriber, frame.sequence);
    frame.release();
  }
}

function takeAll(): void {
  using set = broker.waitSet();
  for (const subscriber of subscribers) set.add(subscriber);
  while (set.size > 0) {
    for (const subscriber of set.waitSync()) {
      for (let frame = subscriber.tryTake(); frame !== null; frame = subscriber.tryTake()) {
        see(subscriber, frame.sequence);
        frame.release();
      }
    }
  }
}

parentPort?.postMessage('ready');
let error: string | null = null;
try {
  const [only] = subscribers;
  if (subscribers.length === 1 && only !== undefined) takeAllOf(only);
  else takeAll();
} catch (thrown) {
  error = thrown instanceof LeaseholdError ? thrown.code : String(thrown);
}
await broker.close();
parentPort?.postMessage({ taken, outOfOrder, error } satisfies ThreadReport);
