import { describe, expect, it, vi } from 'vitest';
import { Frame, type FrameOwner } from './frame.ts';

function frameOf(finish: FrameOwner['finish'] = () => undefined): { frame: Frame; finish: ReturnType<typeof vi.fn> } {
  const spy = vi.fn(finish);
  const owner = { finish: spy } as unknown as FrameOwner;
  return { frame: new Frame(owner, 3, 42, new Uint8Array([1, 2, 3])), finish: spy };
}

describe('a frame', () => {
  it('is let go once, however often it is released', () => {
    const { frame, finish } = frameOf();
    frame.release();
    frame.release();
    frame[Symbol.dispose]();
    expect(finish).toHaveBeenCalledTimes(1);
    expect(finish).toHaveBeenCalledWith(frame, 3);
  });

  it('outlives its release until everything that holds it has settled, failures included', async () => {
    const { frame, finish } = frameOf();
    const first = Promise.withResolvers<string>();
    const second = Promise.withResolvers<string>();
    const held = [frame.holdUntil(first.promise), frame.holdUntil(second.promise)];
    frame.release();
    first.resolve('done');
    await expect(held[0]).resolves.toBe('done');
    expect(finish).not.toHaveBeenCalled();
    second.reject(new Error('failed'));
    await expect(held[1]).rejects.toThrow('failed');
    expect(finish).toHaveBeenCalledTimes(1);
  });

  it('that is drained is let go only after what holds it', async () => {
    const { frame, finish } = frameOf();
    const work = Promise.withResolvers<void>();
    const held = frame.holdUntil(work.promise);
    const drained = frame.drained();
    expect(finish).not.toHaveBeenCalled();
    work.resolve();
    await Promise.all([held, drained]);
    expect(finish).toHaveBeenCalledTimes(1);
  });

  it('cannot be held, copied or asked once it is let go', async () => {
    const { frame } = frameOf();
    frame.release();
    expect(() => frame.copy()).toThrow(expect.objectContaining({ code: 'CLOSED' }));
    expect(() => frame.info).toThrow(expect.objectContaining({ code: 'CLOSED' }));
    await expect(frame.holdUntil(Promise.resolve())).rejects.toMatchObject({ code: 'CLOSED' });
    expect(frame.sequence).toBe(42n);
  });

  it('passes on what goes wrong when it is let go, to whoever lets it go', async () => {
    const { frame } = frameOf(() => {
      throw new Error('stolen');
    });
    const work = Promise.withResolvers<void>();
    const held = frame.holdUntil(work.promise);
    frame.release();
    work.resolve();
    await expect(held).rejects.toThrow('stolen');
  });
});
