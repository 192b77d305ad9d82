import { type Broker, LeaseholdError, type Loan } from '@leasehold/client';
import { describe, expect, it } from 'vitest';
import { fakeContext } from '../program/testing/fake-context.ts';
import { parsePublishFlags } from './publish-options.ts';
import { publishVideo } from './publish-video.ts';

const FRAMES = 20;
const FLAGS = { input: '-', raw: '2x2', fourcc: 'GREY', pages: 'auto', slots: '8', pace: 'max', overflow: 'overwrite' };

/** Publishes FRAMES frames through `tryLoan`; resolves with how many were published. */
async function publish(tryLoan: (loan: Loan) => Loan | null): Promise<number> {
  let published = 0;
  let finished = false;
  const loan = { bytes: new Uint8Array(4), publish: () => (published += 1), discard: () => undefined };
  const publisher = {
    lost: new AbortController().signal,
    tryLoan: () => tryLoan(loan as unknown as Loan),
    finish: async () => {
      finished = true;
    },
    close: async () => undefined,
  };
  const channel = { overflow: 'overwrite', openPublisher: async () => publisher };
  const broker = { createChannel: async () => channel, lost: new AbortController().signal };
  const options = parsePublishFlags(FLAGS);
  let read = 0;
  const reader = {
    readFrame: async () => (read++ < FRAMES ? { bytes: 4, frameParameters: '' } : null),
    close: async () => undefined,
  };
  const format = { fourcc: 'GREY', width: 2, height: 2, frameRate: { numerator: 25, denominator: 1 } };
  const input = { format, frameBytes: 4, reader } as unknown as Parameters<typeof publishVideo>[0]['input'];
  await publishVideo({ broker: broker as unknown as Broker, name: 'n', input, options, context: fakeContext() });
  expect(finished).toBe(true);
  return published;
}

const refusal = (code: 'TIMED_OUT' | 'CORRUPT_MEMORY') => new LeaseholdError(code, 'a subscriber joined');

describe('publishing to an overwrite channel', () => {
  it('drops the frames for which there is no slot, or no answer from the broker for a moment, and goes on', async () => {
    let asked = 0;
    const published = await publish((loan) => {
      asked += 1;
      if (asked === 2) return null;
      if (asked % 4 === 3) throw refusal('TIMED_OUT');
      return loan;
    });
    // Of 20 frames and the end: the second, and every fourth from the third.
    expect(published).toBe(FRAMES - 1 - 5);
  });

  it('ends when the broker does not come to itself, or when the fault is not one that passes', async () => {
    const never = publish(() => {
      throw refusal('TIMED_OUT');
    });
    await expect(never).rejects.toMatchObject({ code: 'TIMED_OUT' });
    let asked = 0;
    const broken = publish(() => {
      asked += 1;
      throw refusal('CORRUPT_MEMORY');
    });
    await expect(broken).rejects.toMatchObject({ code: 'CORRUPT_MEMORY' });
    expect(asked).toBe(1);
  });
});
