/** A subscriber process to be stopped or killed: with frames held, or in the middle of whatever it does. */
import {
  type Broker,
  connect,
  type Frame,
  LeaseholdError,
  type SubscribeOptions,
  type Subscriber,
} from '@leasehold/client';
import { type AuditReport, FrameAudit } from '../support/frame-audit.ts';
import { serveQuestions } from '../support/worker-side.ts';

export type SubscriberQuestion =
  | { readonly subscribe: { readonly channel: string; readonly options: SubscribeOptions } }
  /** Takes so many frames and holds them. Answers with an AuditReport. */
  | { readonly hold: number }
  /** Takes, checks and releases without end from now on. Answers at once. */
  | 'churn'
  /** Whether what is held is still whole. Answers with an AuditReport. */
  | 'recheck'
  | 'release'
  /** Takes until the stream ends, or a take fails. Answers with an Ending. */
  | 'drain'
  /** As `drain`, but answers at once; `ending` answers when it is over. */
  | 'follow'
  | 'ending';

/** How a subscription ended. */
export interface SubscriptionEnding {
  readonly report: AuditReport;
  /** Why taking failed; null when the stream ended. */
  readonly code: string | null;
  /** Why the broker was lost; null when it was not. */
  readonly brokerLost: string | null;
}

const FRAMES_PER_TURN = 64;

const runtimeDir = process.argv[2];
const held: Frame[] = [];
let broker: Broker;
let subscriber: Subscriber;
let audit: FrameAudit;
let ending: Promise<SubscriptionEnding>;

serveQuestions((question: SubscriberQuestion) => {
  if (typeof question === 'object') return 'hold' in question ? hold(question.hold) : subscribe(question.subscribe);
  switch (question) {
    case 'churn':
      void drain();
      return null;
    case 'recheck':
      for (const frame of held) audit.recheck(frame);
      return audit.report();
    case 'release':
      for (const frame of held.splice(0)) frame.release();
      return audit.report();
    case 'drain':
      return drain();
    case 'follow':
      ending = drain();
      return null;
    case 'ending':
      return ending;
  }
});

async function subscribe({ channel, options }: { channel: string; options: SubscribeOptions }): Promise<null> {
  broker = await connect({ runtimeDir });
  subscriber = await broker.subscribe(channel, options);
  audit = new FrameAudit(subscriber);
  return null;
}

async function hold(frames: number): Promise<AuditReport> {
  while (held.length < frames) {
    const frame = await subscriber.take();
    if (frame === null) throw new Error(`the stream ended after ${held.length} frames`);
    audit.check(frame);
    held.push(frame);
  }
  return audit.report();
}

async function drain(): Promise<SubscriptionEnding> {
  for (let frames = 1; ; frames += 1) {
    try {
      const frame = await subscriber.take();
      if (frame === null) return endedBy(null);
      audit.check(frame);
      frame.release();
    } catch (error) {
      return endedBy(error);
    }
    if (frames % FRAMES_PER_TURN === 0) await new Promise(setImmediate);
  }
}

const codeOf = (error: unknown): string => (error instanceof LeaseholdError ? error.code : String(error));

function endedBy(error: unknown): SubscriptionEnding {
  return {
    report: audit.report(),
    code: error === null ? null : codeOf(error),
    brokerLost: broker.lost.aborted ? codeOf(broker.lost.reason) : null,
  };
}
