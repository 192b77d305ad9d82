import { describe, expect, it, vi } from 'vitest';
import { withLimits } from './limits.ts';

describe('a bounded wait', () => {
  it('gives what it waited for', async () => {
    await expect(withLimits(Promise.resolve(5), { timeoutMs: 10_000 }, 'it', () => undefined)).resolves.toBe(5);
  });

  it('ends with TIMED_OUT, and what comes late is handed to be discarded', async () => {
    vi.useFakeTimers();
    try {
      const { promise, resolve } = Promise.withResolvers<string>();
      const discard = vi.fn();
      const waiting = withLimits(promise, { timeoutMs: 50 }, 'the thing', discard);
      const failed = expect(waiting).rejects.toMatchObject({
        code: 'TIMED_OUT',
        message: 'waited 50 ms for the thing',
      });
      await vi.advanceTimersByTimeAsync(50);
      await failed;
      resolve('late');
      await promise;
      expect(discard).toHaveBeenCalledWith('late');
    } finally {
      vi.useRealTimers();
    }
  });

  it('ends with ABORTED, whose cause is the reason, also when aborted before', async () => {
    const never = new Promise<void>(() => undefined);
    const controller = new AbortController();
    const waiting = withLimits(never, { signal: controller.signal }, 'it', () => undefined);
    controller.abort('enough');
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED', cause: 'enough' });
    await expect(
      withLimits(never, { signal: AbortSignal.abort('before') }, 'it', () => undefined),
    ).rejects.toMatchObject({
      cause: 'before',
    });
  });
});
