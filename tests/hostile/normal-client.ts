/** A client that keeps the rules while others break them: it must always get through. */
import { connect } from '@leasehold/client';
import { expect, onTestFinished } from 'vitest';

export interface NormalClient {
  /** An RPC, and a frame published and taken. */
  works(): Promise<void>;
  chargedBytes(): Promise<number>;
}

export async function normalClient(runtimeDir: string): Promise<NormalClient> {
  const broker = await connect({ runtimeDir, name: 'normal' });
  onTestFinished(() => broker.close());
  const channel = await broker.createChannel('normal', { slotBytes: 64, slots: 4, pages: 'never' });
  const publisher = await channel.openPublisher();
  const subscriber = await channel.subscribe();
  return {
    chargedBytes: async () => (await broker.info()).memoryChargedBytes,
    async works() {
      expect((await channel.info()).name).toBe('normal');
      const loan = await publisher.loan();
      loan.publish();
      const frame = await subscriber.take();
      expect(frame?.sequence).toBe(loan.sequence);
      frame?.release();
    },
  };
}
