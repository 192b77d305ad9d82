/** Holders and waiters killed: the next in line has the lease, knows what happened, and nobody behind them is forgotten. */
import { type Broker, connect, type Mapping } from '@leasehold/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { newSeed, seededRandom } from '../support/checked-frames.ts';
import { startWorker, type Worker } from '../support/processes.ts';
import { sharedBroker } from '../support/shared-broker.ts';
import type { ClientQuestion, Granted } from '../workers/lease-client.ts';

const DEATHS = 100;
/** Processes that wait for the one that is killed. */
const WAITING = 3;
const ROUNDS = 40;
/** Long enough that whoever has the lease next has it because its holder died. */
const TTL_MS = 60_000;
const OPTIONS = { ttlMs: TTL_MS };

const { runtimeDir } = sharedBroker();

const ask = <T>(worker: Worker, question: ClientQuestion): Promise<T> => worker.ask<T>(question);

async function openMapping(name: string): Promise<{ broker: Broker; mapping: Mapping }> {
  const broker = await connect({ runtimeDir });
  onTestFinished(() => broker.close());
  return { broker, mapping: await broker.createMapping(name, { sizeBytes: 4096, pages: 'never' }) };
}

const client = ({ name }: Mapping): Worker => startWorker('lease-client', [runtimeDir, name]);

/** Waits until these processes, and nobody else, wait for the lease, in that order. */
async function expectWaiting(broker: Broker, mapping: Mapping, pids: readonly number[]): Promise<void> {
  const waiting = async () => {
    const [leases] = await broker.listLeases({ prefix: mapping.name });
    return leases?.waiters.map(({ principal }) => principal.pid) ?? [];
  };
  await expect.poll(waiting, { timeout: 60_000 }).toEqual(pids);
}

async function killed(worker: Worker): Promise<void> {
  worker.kill('SIGKILL');
  await worker.ended;
}

describe('when the holder of an exclusive lease is killed', () => {
  it(`the next in line has it, with a higher token, and is told so, ${DEATHS} times`, async () => {
    const { mapping } = await openMapping('crash/lease-deaths');
    const standIn = async (): Promise<{ worker: Worker; granted: Promise<Granted> }> => {
      const worker = client(mapping);
      await ask(worker, { ask: 'exclusive', options: OPTIONS });
      const granted = ask<Granted>(worker, 'granted');
      // Those who still wait when the test is over end without an answer.
      granted.catch(() => undefined);
      return { worker, granted };
    };
    const line = new Set(await Promise.all(Array.from({ length: WAITING }, standIn)));
    let newest = 0n;
    for (let deaths = 0; deaths < DEATHS; deaths += 1) {
      const first = [...line].map(async (each) => ({ each, granted: await each.granted }));
      const { each, granted } = await Promise.race(first);
      expect(granted.previousOwnerDied, `after ${deaths} deaths`).toBe(deaths > 0);
      expect(granted.fencingToken).toBeGreaterThan(newest);
      newest = granted.fencingToken;
      expect(await ask(each.worker, { write: deaths })).toBe(4096);
      line.delete(each);
      const [next] = await Promise.all([standIn(), killed(each.worker)]);
      line.add(next);
    }
  });

  it('everybody is told, readers too, until a writer has declared the data good', async () => {
    const { mapping } = await openMapping('crash/lease-dirty');
    const victim = client(mapping);
    expect(await ask(victim, { take: 'exclusive', options: OPTIONS })).toMatchObject({ previousOwnerDied: false });
    const [first, second, reader] = [client(mapping), client(mapping), client(mapping)];
    await ask(first, { ask: 'exclusive', options: OPTIONS });
    await killed(victim);
    expect(await ask(first, 'granted')).toMatchObject({ previousOwnerDied: true });
    expect(await ask(first, 'release')).toBe(true);
    for (const mode of ['shared', 'exclusive'] as const) {
      expect(await ask(second, { take: mode }), mode).toMatchObject({ previousOwnerDied: true });
      expect(await ask(second, 'release')).toBe(true);
    }
    expect(await ask(reader, { take: 'shared' })).toMatchObject({ previousOwnerDied: true });
    expect(await ask(reader, 'markClean')).toBe('INVALID_STATE');
    expect(await ask(reader, 'release')).toBe(true);
    expect(await ask(second, { take: 'exclusive' })).toMatchObject({ previousOwnerDied: true });
    expect(await ask(second, 'markClean')).toBe(null);
    expect(await ask(second, 'release')).toBe(true);
    expect(await ask(first, { take: 'exclusive' })).toMatchObject({ previousOwnerDied: false });
    expect(await ask(first, 'release')).toBe(true);
    expect(await ask(reader, { take: 'shared' })).toMatchObject({ previousOwnerDied: false });
  });

  it('a death during the mending leaves the data in doubt', async () => {
    const { broker, mapping } = await openMapping('crash/lease-dirty-twice');
    for (let deaths = 0; deaths < 3; deaths += 1) {
      const victim = client(mapping);
      const granted = await ask<Granted>(victim, { take: 'exclusive', options: OPTIONS });
      expect(granted.previousOwnerDied).toBe(deaths > 0);
      // The last one has mended it, and breaks it again.
      if (deaths === 2) expect(await ask(victim, 'markClean')).toBe(null);
      await killed(victim);
    }
    await using lease = await mapping.lease('exclusive');
    expect(lease.previousOwnerDied).toBe(true);
    expect((await broker.listLeases({ prefix: mapping.name })).map(({ dirty }) => dirty)).toEqual([true]);
  });
});

describe('when a reader is killed', () => {
  it('a writer that waits has the lease, and nothing is in doubt', async () => {
    const { broker, mapping } = await openMapping('crash/lease-reader');
    const [victim, reader, writer] = [client(mapping), client(mapping), client(mapping)];
    for (const each of [victim, reader]) await ask(each, { take: 'shared', options: OPTIONS });
    await ask(writer, { ask: 'exclusive', options: OPTIONS });
    await expectWaiting(broker, mapping, [writer.pid]);
    await killed(victim);
    expect(await ask(reader, 'release')).toBe(true);
    expect(await ask(writer, 'granted')).toMatchObject({ previousOwnerDied: false });
  });
});

describe('when one who waits is killed', () => {
  it('those behind him move up in their order', async () => {
    const { broker, mapping } = await openMapping('crash/lease-waiters');
    const holder = client(mapping);
    await ask(holder, { take: 'exclusive', options: OPTIONS });
    const line = Array.from({ length: 5 }, () => client(mapping));
    for (const [i, each] of line.entries()) {
      await ask(each, { ask: 'exclusive', options: OPTIONS });
      await expectWaiting(
        broker,
        mapping,
        line.slice(0, i + 1).map(({ pid }) => pid),
      );
    }
    // The head, one in the middle, and the last one.
    const living = line.filter((_, i) => i === 1 || i === 3);
    await Promise.all(line.filter((each) => !living.includes(each)).map(killed));
    await expectWaiting(
      broker,
      mapping,
      living.map(({ pid }) => pid),
    );
    expect(await ask(holder, 'release')).toBe(true);
    for (const each of living) {
      expect(await ask(each, 'granted')).toMatchObject({ previousOwnerDied: false });
      expect(await ask(each, 'release')).toBe(true);
    }
  });
});

it(`killed between its grant and its first step, it is in nobody's way, ${ROUNDS} times`, async () => {
  const seed = newSeed();
  const random = seededRandom(seed);
  const { mapping } = await openMapping('crash/lease-between');
  // What is starting up now is killed a few rounds later.
  const victims = Array.from({ length: 3 }, () => client(mapping));
  for (let round = 0; round < ROUNDS; round += 1) {
    const victim = victims.shift() ?? client(mapping);
    victims.push(client(mapping));
    await ask(victim, 'prepare');
    const held = await mapping.lease('exclusive', { waitMs: 60_000 });
    if (held.previousOwnerDied) held.markClean();
    await ask(victim, { ask: 'exclusive', options: OPTIONS });
    // It may be granted in memory, by an answer of the broker, or not at all, when it is killed.
    const turns = Math.floor(random() * 200);
    for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate);
    held.release();
    for (let turn = Math.floor(random() * 200); turn > 0; turn -= 1) await new Promise(setImmediate);
    victim.kill('SIGKILL');
    const next = await mapping.lease('exclusive', { waitMs: 60_000 });
    expect(next.release(), `round ${round}, seed ${seed}`).toBe(true);
    await victim.ended;
  }
});
