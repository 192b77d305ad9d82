/**
 * Every system call of creating, growing, shrinking and attaching fails once. The broker runs in this process, so that both ends of each
 * operation are among those that fail.
 */
import { readdirSync } from 'node:fs';
import { openRuntimeDir, type RunningBroker, startBroker } from '@leasehold/broker';
import { type Broker, connect, LeaseholdError, type Mapping } from '@leasehold/client';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { FailedCall, LibcModule } from '../support/failing-calls.ts';
import { needLargePages, whyNoLargePages } from '../support/large-pages.ts';
import { openSockets, ownMemory } from '../support/own-memory.ts';
import { tempDir } from '../support/temp-dir.ts';

const calls = await vi.hoisted(async () => {
  const { FailingCalls } = await import('../support/failing-calls.ts');
  return new FailingCalls();
});
vi.mock('../../shm-core/dist/os/linux/libc.js', async (importOriginal) =>
  calls.replace(await importOriginal<LibcModule>()),
);

const MIB = 2 ** 20;
const PATIENCE = { timeout: 60_000 };
/** No operation makes nearly as many calls. */
const CALLS_MAX = 500;

let broker: RunningBroker;
let runtimeDir: string;
let stop: () => Promise<void>;
/** None, whatever is in their pool: transparent pages are made by other calls. Null: as many as there are. */
let largePageBytes: number | null;
/** Before there is a broker, and of a broker to which nobody is connected. */
const socketsWithout = openSockets();
let socketsAtRest: number;

async function start(): Promise<void> {
  const opened = openRuntimeDir({ path: runtimeDir, system: false });
  const logger = pino({ level: process.env.LEASEHOLD_TEST_LOG ?? 'silent' });
  const quotas = largePageBytes === null ? {} : { total: { largePageBytes } };
  broker = await startBroker({ runtimeDir: opened, epoch: 1, quotas, logger });
  stop = async () => {
    await broker.close();
    opened.close();
  };
}
beforeEach(async () => {
  runtimeDir = `${tempDir()}/run`;
  largePageBytes = 0;
  await expect.poll(openSockets, PATIENCE).toBe(socketsWithout);
  await start();
  socketsAtRest = openSockets();
});
afterEach(() => stop());

/** What is charged, by whatever is counted. */
const charged = () => Object.fromEntries(broker.snapshot().quotas.map(({ quota, used }) => [quota, used]));
const memory = () => ({ ...ownMemory(), charged: charged() });
const everything = () => ({ ...memory(), descriptors: readdirSync('/proc/self/fd').length });

/** Nobody is connected, and nothing is left of those who were. */
function atRest(): boolean {
  const { maps, descriptors } = ownMemory();
  const closed = maps === 0 && descriptors === 0 && openSockets() === socketsAtRest;
  return closed && broker.snapshot().sessions === 0;
}

type Opened = { close(): Promise<void> } | undefined | void;

interface Scenario {
  /** Calls without which it does not succeed; there may be others. */
  readonly needed: readonly string[];
  /** Calls without which it succeeds all the same, now and then; there are no others. */
  readonly optional: readonly string[];
  prepare(client: Broker): Promise<Mapping | null>;
  /** @returns what is to be closed when no call fails any more. */
  run(client: Broker, mapping: Mapping): Promise<Opened>;
}

/** Nothing but the connection over which it is asked. */
async function connected(client: Broker): Promise<null> {
  await client.info();
  return null;
}

/** Without these one end cannot know what the other says, and the session ends. */
const ENDS_SESSION = new Set(['recvmsg', 'getsockopt']);

/** The error says which call it was, and why. */
function expectNamed(error: unknown, { call, code }: FailedCall): void {
  if (!(error instanceof LeaseholdError))
    throw new Error(`no LeaseholdError after ${call}: ${error}`, { cause: error });
  expect(`${error.message} ${JSON.stringify(error.metadata)}`).toMatch(new RegExp(`${call}.*${code}`, 's'));
}

/** The broker says so, and so does the lock segment. */
async function expectSize(client: Broker, payloadBytes: number): Promise<void> {
  const mapping = await client.mapping('m');
  expect(mapping.info.memory.payloadBytes).toBe(payloadBytes);
  await using attachment = await mapping.attach('read');
  expect(attachment.sizeBytes).toBe(payloadBytes);
}

/** One run of which the n-th call fails. @returns the call, and whether it was needed; null when there was none */
async function runWithFailure(scenario: Scenario, nth: number): Promise<{ call: string; needed: boolean } | null> {
  let client = await connect({ runtimeDir });
  let mapping = await scenario.prepare(client);
  const before = memory();
  calls.arm(nth);
  let opened: Opened;
  let outcome: { readonly error: unknown } | null = null;
  try {
    opened = await scenario.run(client, mapping as Mapping);
  } catch (error) {
    outcome = { error };
  }
  const failed = calls.disarm();
  await opened?.close();
  if (failed === null) {
    if (outcome !== null) throw outcome.error;
  } else if (client.lost.aborted) {
    expect([...ENDS_SESSION]).toContain(failed.call);
    if (outcome !== null) expect(outcome.error).toBeInstanceOf(LeaseholdError);
    await client.close();
    // Until its process ends, the broker keeps what a client that it cannot hear may still touch.
    await stop();
    await start();
    client = await connect({ runtimeDir });
    mapping = await scenario.prepare(client);
    await scenario.run(client, mapping as Mapping);
  } else if (outcome !== null) {
    expectNamed(outcome.error, failed);
    // Shared memory over which nothing could be mapped stays where it is until the next map.
    const { maps: mapsBefore, ...rest } = before;
    const left = String(outcome.error).includes('placeholder') ? { ...rest, maps: mapsBefore + 1 } : before;
    await expect.poll(memory, PATIENCE).toEqual(left);
    if (mapping !== null) await expectSize(client, mapping.info.memory.payloadBytes);
    await scenario.run(client, mapping as Mapping);
  }
  await client.close();
  return failed === null ? null : { call: failed.call, needed: outcome !== null };
}

async function failEveryCall(scenario: Scenario): Promise<void> {
  // What is loaded, and opened once, at the first time.
  await runWithFailure(scenario, CALLS_MAX);
  await expect.poll(atRest, PATIENCE).toBe(true);
  const before = everything();
  const optional = new Set<string>();
  const needed = new Set<string>();
  for (let nth = 1; nth < CALLS_MAX; nth += 1) {
    const outcome = await runWithFailure(scenario, nth).catch((cause: unknown) => {
      throw new Error(`when call ${nth} failed: ${cause instanceof Error ? cause.message : cause}`, { cause });
    });
    await expect.poll(everything, { ...PATIENCE, message: `after call ${nth}, ${outcome?.call}` }).toEqual(before);
    if (outcome === null) {
      expect([...needed]).toEqual(expect.arrayContaining([...scenario.needed]));
      expect(scenario.optional).toEqual(expect.arrayContaining([...optional]));
      return;
    }
    (outcome.needed ? needed : optional).add(outcome.call);
  }
  throw new Error(`more than ${CALLS_MAX} calls`);
}

const RESERVED = { reserveBytes: 256 * MIB, pages: 'never' } as const;
/** A failed `close` has closed all the same. A `recvmsg` may be the look for another packet, after the one that was waited for. */
const OF_CLAIMS = ['close', 'recvmsg'];
const OF_SEGMENTS = ['memfd_create', 'fchmod', 'ftruncate', 'posix_fallocate', 'fcntl', 'mmap', 'madvise'];
/** On both ends: the page of a participant, its way to the client, and what is mapped there. */
const OF_CLAIMED = [...OF_SEGMENTS, 'sendmsg', 'recvmsg'];

const LARGE_PAGES = 4;
const noLargePages = whyNoLargePages(LARGE_PAGES);
const skipped = noLargePages === '' ? '' : ` (skipped: ${noLargePages})`;

describe('when any one system call fails', () => {
  it.each<[string, number, object, readonly string[], readonly string[]]>([
    ['of base pages', 10_000, { pages: 'never' }, OF_SEGMENTS, []],
    ['kept in memory', 10_000, { pages: 'never', locked: true }, [...OF_SEGMENTS, 'mlock'], []],
    // Where they cannot be had, or not be seen, base pages do.
    ['of transparent pages', 4 * MIB, { pages: 'auto' }, OF_SEGMENTS, ['madvise']],
  ])('creating a mapping %s says so, and leaves nothing', async (_what, sizeBytes, options, needed, optional) => {
    await failEveryCall({
      needed,
      optional,
      prepare: connected,
      run: async (client) => {
        await client.createMapping('m', { sizeBytes, ...options });
      },
    });
  });

  it('creating a channel, which is laid out in its memory, says so, and leaves nothing', async () => {
    await failEveryCall({
      needed: OF_SEGMENTS,
      optional: [],
      prepare: connected,
      run: async (client) => {
        await client.createChannel('c', { slotBytes: 1000, slots: 4, pages: 'never' });
      },
    });
  });

  it.each([false, true])('growing (kept in memory: %s) leaves the old size', async (locked) => {
    await failEveryCall({
      needed: locked ? ['posix_fallocate', 'mlock'] : ['posix_fallocate'],
      optional: [],
      prepare: (client) => client.createMapping('m', { sizeBytes: MIB, ...RESERVED, locked }),
      run: async (_client, mapping) => {
        const { memory: granted } = await mapping.resize(130 * MIB);
        expect(granted.payloadBytes).toBe(130 * MIB);
      },
    });
  });

  it.each([false, true])('shrinking (kept in memory: %s) leaves a size whose memory is there', async (locked) => {
    await failEveryCall({
      needed: locked ? ['munlock', 'fallocate'] : ['fallocate'],
      optional: [],
      prepare: async (client) => {
        const mapping = await client.createMapping('m', { sizeBytes: 12 * MIB, ...RESERVED, locked });
        await mapping.prepare('exclusive');
        return mapping;
      },
      run: async (_client, mapping) => {
        using lease = await mapping.lease('exclusive');
        await mapping.resize(MIB, { lease });
      },
    });
  });

  it.skipIf(noLargePages !== '')(`creating and growing of large pages says so, and takes none${skipped}`, async () => {
    needLargePages(LARGE_PAGES);
    largePageBytes = null;
    await stop();
    await start();
    const options = { sizeBytes: 3 * MIB, reserveBytes: 8 * MIB, pages: 'require' } as const;
    await failEveryCall({
      needed: OF_SEGMENTS,
      optional: [],
      prepare: connected,
      run: async (client) => {
        await client.createMapping('m', options);
      },
    });
    await failEveryCall({
      needed: ['posix_fallocate'],
      optional: [],
      prepare: (client) => client.createMapping('m', options),
      run: async (_client, mapping) => {
        await mapping.resize(8 * MIB);
      },
    });
  });

  it.each(['read', 'write'] as const)('attaching (%s) leaves no descriptor, no map and no place', async (access) => {
    await failEveryCall({
      needed: access === 'read' ? [...OF_CLAIMED, 'open'] : OF_CLAIMED,
      optional: OF_CLAIMS,
      prepare: (client) => client.createMapping('m', { sizeBytes: 10_000, ...RESERVED }),
      run: async (_client, mapping) => {
        const attachment = await mapping.attach(access as 'read');
        expect(attachment.bytes).toHaveLength(10_000);
        return attachment;
      },
    });
  });

  it.each(['shared', 'exclusive'] as const)('leasing for the first time (%s) leaves nothing', async (mode) => {
    await failEveryCall({
      needed: OF_CLAIMED,
      optional: OF_CLAIMS,
      prepare: (client) => client.createMapping('m', { sizeBytes: 10_000, ...RESERVED }),
      run: async (_client, mapping) => {
        using lease = await mapping.lease(mode as 'shared');
        expect(lease.bytes).toHaveLength(10_000);
      },
    });
  });

  it('leasing where others have a place, whose pages must be seen, leaves nothing', async () => {
    await failEveryCall({
      needed: OF_CLAIMED,
      // Who cannot see them has the broker decide.
      optional: ['close', 'madvise', 'mmap', 'recvmsg', 'sendmsg'],
      prepare: async (client) => {
        const mapping = await client.createMapping('m', { sizeBytes: 10_000, ...RESERVED });
        await mapping.attach('read');
        return mapping;
      },
      run: async (_client, mapping) => {
        await mapping.prepare('exclusive');
        using lease = mapping.tryLease('exclusive') ?? (await mapping.lease('exclusive'));
        expect(lease.bytes).toHaveLength(10_000);
      },
    });
  });
});
