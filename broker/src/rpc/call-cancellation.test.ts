import { EventEmitter } from 'node:events';
import { describe, expect, it, vi } from 'vitest';
import { CallCancellation } from './call-cancellation.ts';

class FakeCall extends EventEmitter {
  cancelled = false;

  cancel(): void {
    this.cancelled = true;
    this.emit('cancelled');
  }
}

function setUp() {
  const call = new FakeCall();
  return { call, cancellation: new CallCancellation(call), tell: vi.fn() };
}

describe('the cancellation of a call', () => {
  it('listens to no call of which nobody asks', () => {
    const { call, cancellation } = setUp();
    expect(cancellation.aborted).toBe(false);
    expect(call.listenerCount('cancelled')).toBe(0);
  });

  it('is told once, however many are told', () => {
    const { call, cancellation, tell } = setUp();
    const { signal } = cancellation;
    cancellation.onAbort(tell);
    call.cancel();
    call.cancel();
    expect(tell).toHaveBeenCalledTimes(1);
    expect(signal.aborted).toBe(true);
    expect(cancellation.signal).toBe(signal);
  });

  it('is told at once to who asks after it', () => {
    const { call, cancellation, tell } = setUp();
    call.cancel();
    expect(cancellation.aborted).toBe(true);
    cancellation.onAbort(tell);
    expect(tell).toHaveBeenCalledTimes(1);
    expect(cancellation.signal.aborted).toBe(true);
  });

  it('is not told to who does not listen any more, nor after the answer', () => {
    const { call, cancellation, tell } = setUp();
    const stopListening = cancellation.onAbort(tell);
    stopListening();
    cancellation.answered();
    call.cancel();
    expect(tell).not.toHaveBeenCalled();
    expect(cancellation.signal.aborted).toBe(false);
  });
});
