/** Loans whose options run code, or are of the wrong kind. */
import { expect, it, vi } from 'vitest';
import { Loan, type PublishOptions } from './loan.ts';

function lend() {
  const owner = { publish: vi.fn(() => 1), discard: vi.fn() };
  return { owner, loan: new Loan(owner, 5, new Uint8Array(100)) };
}

it('a loan that its own options ended is not published once more', () => {
  const discarded = lend();
  const discarding: PublishOptions = {
    get width() {
      discarded.loan.discard();
      return 1;
    },
  };
  expect(() => discarded.loan.publish(discarding)).toThrow(expect.objectContaining({ code: 'CLOSED' }));
  expect([discarded.owner.publish.mock.calls.length, discarded.owner.discard.mock.calls.length]).toEqual([0, 1]);
  const published = lend();
  const publishing: PublishOptions = {
    get payloadBytes() {
      published.loan.publish();
      return 1;
    },
  };
  expect(() => published.loan.publish(publishing)).toThrow(expect.objectContaining({ code: 'CLOSED' }));
  expect(published.owner.publish).toHaveBeenCalledTimes(1);
});

it.each([
  ['an array of 64-bit numbers', new BigUint64Array(2)],
  ['text', 'abc'],
  ['null', null],
])('metadata that is %s is refused, and the loan stays open', (_what, metadata) => {
  const { owner, loan } = lend();
  const options = { metadata } as unknown as PublishOptions;
  expect(() => loan.publish(options)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  expect(owner.publish).not.toHaveBeenCalled();
  loan.publish();
  expect(owner.publish).toHaveBeenCalledTimes(1);
});

it('what is published as metadata is as long as was checked, whatever its class says', () => {
  class Growing extends Uint8Array<ArrayBuffer> {
    override slice(): Uint8Array<ArrayBuffer> {
      return new Uint8Array(1000);
    }
  }
  const { owner, loan } = lend();
  loan.publish({ metadata: new Growing(new ArrayBuffer(3)) });
  expect(owner.publish).toHaveBeenCalledWith(5, 100, expect.objectContaining({ metadata: new Uint8Array(3) }));
});
