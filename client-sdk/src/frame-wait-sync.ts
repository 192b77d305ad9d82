/**
 * Waiting for a frame with the whole thread: for worker threads, whose event loop may stand still meanwhile. Every sleep is a second at
 * most, so that what cannot be heard here (the end of the session, of the thread, a signal) is noticed. Rings for others that arrive
 * meanwhile are heard here and passed on.
 */
import { monotonicNs, yieldThread } from '@leasehold/shm-core/internal';
import { type Doorbell, LOOK_AGAIN_MS } from './doorbell.ts';
import { ENDED, type Found, type FrameSource, type SessionEnd } from './frame-source.ts';
import type { Limits } from './limits.ts';
import { type ExpectedWait, LOOKS_PER_CLOCK, LOOKS_PER_TURN, type WaitStrategy } from './waiting.ts';

/** What the wait is made with. */
export interface SyncWait<F extends object> {
  readonly source: FrameSource<F>;
  readonly doorbell: Doorbell;
  readonly strategy: WaitStrategy;
  readonly expected: ExpectedWait;
}

/** The next frame; null after the last. @throws what `look` throws; TIMED_OUT, ABORTED; BROKER_LOST. */
export function takeBlocking<F extends object>(wait: SyncWait<F>, limits: Limits | null): F | null {
  const { source } = wait;
  let found = source.lookBlocking();
  if (found !== null) return found === ENDED ? null : found;
  const beganNs = monotonicNs();
  const lossNoticed = noticeLoss(source);
  for (;;) {
    found = lookOn(wait, beganNs, limits);
    if (found === ENDED) return null;
    if (found !== null) {
      if (wait.strategy === 'adaptive') wait.expected.learn(beganNs, source.publishedNs());
      return found;
    }
    limits?.throwIfOver(source.what);
    lossNoticed();
  }
}

/** Looks, or sleeps, for a second at most. */
function lookOn<F extends object>(wait: SyncWait<F>, beganNs: number, limits: Limits | null): Found<F> | null {
  if (wait.strategy === 'spin') return lookOften(wait.source, LOOKS_PER_TURN);
  if (wait.strategy === 'yield') {
    yieldThread();
    return wait.source.lookBlocking();
  }
  const deadlineNs = wait.strategy === 'adaptive' ? beganNs + wait.expected.spinNs : 0;
  while (monotonicNs() < deadlineNs) {
    const found = lookOften(wait.source, LOOKS_PER_CLOCK);
    if (found !== null) return found;
  }
  return sleep(wait, limits?.leftMs ?? LOOK_AGAIN_MS);
}

function lookOften<F extends object>(source: FrameSource<F>, looks: number): Found<F> | null {
  for (let look = 0; look < looks; look += 1) {
    const found = source.lookBlocking();
    if (found !== null) return found;
  }
  return null;
}

/**
 * IMPORTANT: what has rung before is taken off first, then arm, look, sleep. A ring that comes after the look ends the sleep; it stays in
 * the bell, so that the frame need not wait until it is taken.
 */
function sleep<F extends object>({ source, doorbell }: SyncWait<F>, boundMs: number): Found<F> | null {
  doorbell.hear();
  source.arm();
  try {
    const found = source.lookBlocking();
    if (found !== null) return found;
    doorbell.sleep(boundMs);
    return source.lookBlocking();
  } finally {
    source.disarm();
  }
}

/** Looks once a second whether the session has ended: two such looks without a frame between them end the wait. */
export function noticeLoss(session: SessionEnd): () => void {
  let nextMs = performance.now() + LOOK_AGAIN_MS;
  let ended = false;
  return () => {
    const nowMs = performance.now();
    if (nowMs < nextMs) return;
    nextMs = nowMs + LOOK_AGAIN_MS;
    const why = session.endedBecause();
    if (why !== null && ended) throw why;
    ended = why !== null;
  };
}
