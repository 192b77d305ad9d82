/** What it costs to ask the broker: round trips of one client that asks one thing at a time. */
import { type Broker, monotonicNs } from '@leasehold/client';

export const CONTROL_CALLS = {
  'get-broker-info': 'GetBrokerInfo',
  'create-delete-channel': 'CreateChannel + DeleteChannel (4 slots of 4 KiB)',
} as const;
export type ControlCall = keyof typeof CONTROL_CALLS;

const ACTIONS: Readonly<Record<ControlCall, (broker: Broker) => Promise<unknown>>> = {
  'get-broker-info': (broker) => broker.info(),
  'create-delete-channel': async (broker) => {
    await broker.createChannel('bench/control', { slotBytes: 4_096, slots: 4 });
    await broker.deleteChannel('bench/control');
  },
};

/** How long each of `count` calls took, ns. */
export async function timeCalls(broker: Broker, call: ControlCall, count: number): Promise<number[]> {
  const action = ACTIONS[call];
  const tookNs: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const startNs = monotonicNs();
    await action(broker);
    tookNs.push(monotonicNs() - startNs);
  }
  return tookNs;
}
