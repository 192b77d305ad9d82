/** Two connections of this process, which stand for two processes wherever that is the same, and what tests of leases ask of them. */
import {
  type Broker,
  connect,
  type Lease,
  type LeaseholdError,
  type Mapping,
  type MappingLeases,
} from '@leasehold/client';
import { expect, onTestFinished } from 'vitest';

export const SIZE_BYTES = 4096;
/** Far longer than any test takes. */
export const WAIT_MS = 60_000;

export async function connected(runtimeDir: string, name = 'test'): Promise<Broker> {
  const broker = await connect({ runtimeDir, name });
  onTestFinished(() => broker.close());
  return broker;
}

/** A mapping, and what another connection sees of it. */
export async function leasePair(
  runtimeDir: string,
  name: string,
): Promise<{ broker: Broker; mine: Mapping; other: Mapping }> {
  const broker = await connected(runtimeDir, 'mine');
  const mine = await broker.createMapping(name, { sizeBytes: SIZE_BYTES });
  const other = await (await connected(runtimeDir, 'other')).mapping(name);
  return { broker, mine, other };
}

export async function leasesOf(broker: Broker, name: string): Promise<MappingLeases> {
  const [leases] = await broker.listLeases({ prefix: name });
  if (leases === undefined) throw new Error(`nobody has or wants ${name}`);
  return leases;
}

/** Resolves when so many wait at the broker. */
export const waiting = (broker: Broker, name: string, count: number): Promise<void> =>
  expect.poll(async () => (await broker.mapping(name)).info.leaseWaiters).toBe(count);

/** Why it is lost, when it is. */
export const lossOf = ({ lost }: Lease): Promise<unknown> =>
  new Promise((resolve) => {
    if (lost.aborted) resolve(lost.reason);
    else lost.addEventListener('abort', () => resolve(lost.reason), { once: true });
  });

export const codeOf = (error: LeaseholdError): string => error.code;
