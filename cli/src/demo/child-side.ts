/**
 * The side of a demo process that faces the demo: reports go out over IPC, orders come in, and a demo that is gone ends
 * the process however it went.
 */
import { LeaseholdError } from '@leasehold/client';
import type { CameraReport, FailureReport, StartOrder, SubscriberReport } from './messages.ts';

/** Runs `work` with a signal that aborts when the demo goes away or `stop` does; tells the demo why it failed, if it does. */
export async function runDemoProcess(stop: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const orphaned = new AbortController();
  const orphan = () => orphaned.abort(new LeaseholdError('ABORTED', 'the demo is gone'));
  if (process.channel === undefined)
    throw new Error('this command is part of `leasehold demo`, which starts it itself');
  process.once('disconnect', orphan);
  try {
    await work(AbortSignal.any([stop, orphaned.signal]));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (process.connected) await report({ kind: 'failed', message });
    throw error;
  } finally {
    process.off('disconnect', orphan);
    if (process.connected) process.disconnect();
  }
}

/** Settles when the demo has been told, or is gone. */
export function report(message: CameraReport | SubscriberReport | FailureReport): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) resolve();
    else process.send(message, undefined, undefined, () => resolve());
  });
}

/** Settles when the demo gives the order to start. @throws the signal's reason */
export async function startOrder(signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const started = Promise.withResolvers<void>();
  const onMessage = (message: StartOrder) => {
    if (message.kind === 'start') started.resolve();
  };
  const onAbort = () => started.reject(signal.reason);
  process.on('message', onMessage);
  signal.addEventListener('abort', onAbort);
  try {
    await started.promise;
  } finally {
    process.off('message', onMessage);
    signal.removeEventListener('abort', onAbort);
  }
}
