import { NO_FIELDS } from '@leasehold/shm-core/internal';
import { describe, expect, it, vi } from 'vitest';
import { Loan } from './loan.ts';

function loan() {
  const owner = { publish: vi.fn(() => 1), discard: vi.fn() };
  return { owner, loan: new Loan(owner, 5, new Uint8Array(100)) };
}

describe('a loan', () => {
  it('publishes the whole slot unless told otherwise, and only what was said of the frame', () => {
    const { owner, loan: lent } = loan();
    lent.publish();
    expect(owner.publish).toHaveBeenCalledWith(5, 100, NO_FIELDS);
    const other = loan();
    other.loan.publish({ payloadBytes: 7, fourcc: 'RGBA', width: 2, capturedNs: 9n });
    expect(other.owner.publish).toHaveBeenCalledWith(5, 7, {
      ...NO_FIELDS,
      fourcc: 0x41424752,
      width: 2,
      capturedNs: 9,
    });
  });

  it('refuses what does not fit, and can be published again after it', () => {
    const { owner, loan: lent } = loan();
    for (const payloadBytes of [-1, 101, 0.5, Number.NaN]) {
      expect(() => lent.publish({ payloadBytes })).toThrow(expect.objectContaining({ code: 'FRAME_TOO_LARGE' }));
    }
    expect(() => lent.publish({ metadata: new Uint8Array(129) })).toThrow(/128/);
    expect(() => lent.publish({ fourcc: 'TOOLONG' })).toThrow(expect.objectContaining({ code: 'INVALID_FORMAT' }));
    expect(() => lent.publish({ width: -3 })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    expect(owner.publish).not.toHaveBeenCalled();
    expect(lent.sequence).toBeNull();
    lent.publish({ payloadBytes: 0 });
    expect(lent.sequence).toBe(1n);
  });

  it('is over once: published or discarded, never both, never twice', () => {
    const { owner, loan: lent } = loan();
    lent.publish();
    lent.discard();
    lent[Symbol.dispose]();
    expect(() => lent.publish()).toThrow(expect.objectContaining({ code: 'CLOSED' }));
    expect(owner.discard).not.toHaveBeenCalled();
    const other = loan();
    other.loan[Symbol.dispose]();
    expect(other.owner.discard).toHaveBeenCalledTimes(1);
    expect(() => other.loan.publish()).toThrow(expect.objectContaining({ code: 'CLOSED' }));
  });
});
