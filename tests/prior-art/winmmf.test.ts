// WinMMF, row by row: each feature of that wrapper of named shared memory works here. The rows have deeper tests elsewhere (docs/MEMORY.md
// says where); these show them as their users meet them.
import {
  type Broker,
  connect,
  type Mapping,
  type MappingOptions,
  monotonicNs,
  openRpcSession,
} from '@leasehold/client';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { until } from '../cli/run.ts';
import { freeLargePages, needLargePages, whyNoLargePages } from '../support/large-pages.ts';
import { leasehold, startWorker, type Worker } from '../support/processes.ts';
import { sharedBroker } from '../support/shared-broker.ts';

const MIB = 2 ** 20;
const { runtimeDir, env } = sharedBroker();
const skippedLarge = whyNoLargePages(4);
let broker: Broker;
let names = 0;

beforeAll(async () => {
  broker = await connect({ runtimeDir, name: 'winmmf' });
  return () => broker.close();
});

const nextName = (): string => {
  names += 1;
  return `winmmf/${names}`;
};
const create = (options: Partial<MappingOptions> = {}): Promise<Mapping> =>
  broker.createMapping(nextName(), { sizeBytes: 4096, pages: 'never', ...options });
const otherProcess = (): Worker => startWorker('memory-client', [runtimeDir]);
const code = (expected: string) => expect.objectContaining({ code: expected });

describe('a mapping', () => {
  it('create by name and size; the view is bounded at the size asked', async () => {
    const mapping = await create({ sizeBytes: 1025 });
    await using attachment = await mapping.attach('write');
    expect(attachment.bytes).toHaveLength(1025);
    attachment.bytes[1025] = 1;
    expect(attachment.bytes[1025]).toBeUndefined();
    expect(mapping.info.memory).toMatchObject({ payloadBytes: 1025, mappedBytes: 4096, pageBytes: 4096 });
    for (const sizeBytes of [0, -1, 1.5, 2 ** 52, 2 ** 60]) {
      await expect(create({ sizeBytes })).rejects.toThrow(code('INVALID_SIZE'));
    }
  });

  it('lock word in the first 4 bytes: the payload begins on a page, and holds no lock', async () => {
    const mapping = await create();
    await using attachment = await mapping.attach('write');
    attachment.bytes.fill(255);
    using lease = await mapping.lease('exclusive');
    expect([lease.bytes[0], lease.bytes.byteOffset, lease.previousOwnerDied]).toEqual([255, 0, false]);
  });

  it('locks by compare-exchange: no two writers are let in', async () => {
    const mapping = await create();
    const other = await connect({ runtimeDir });
    onTestFinished(() => other.close());
    const count = async (through: Mapping): Promise<void> => {
      for (let i = 0; i < 200; i += 1) {
        using lease = await through.lease('exclusive', { waitMs: 60_000 });
        const words = new Uint32Array(lease.bytes.buffer);
        words[0] = (words[0] ?? 0) + 1;
      }
    };
    const theirs = await other.mapping(mapping.name);
    await Promise.all([count(mapping), count(theirs), count(mapping)]);
    using lease = await mapping.lease('shared');
    expect(new Uint32Array(lease.bytes.slice(0, 4).buffer)[0]).toBe(600);
  });

  it('fresh memory is 0; initialising is create-only and idempotent', async () => {
    const name = nextName();
    const options = { sizeBytes: 4096, pages: 'never', ifExists: 'open-if-same' } as const;
    const made = await Promise.all([1, 2, 3].map(() => broker.createMapping(name, options)));
    expect(made.filter(({ created }) => created)).toHaveLength(1);
    using lease = await (made[0] as Mapping).lease('exclusive');
    expect(lease.bytes.every((byte) => byte === 0)).toBe(true);
    lease.bytes[0] = 7;
    const again = await broker.createMapping(name, options);
    expect([again.created, again.info.fencingToken]).toEqual([false, lease.fencingToken]);
    expect(lease.bytes[0]).toBe(7);
  });

  it('spin with a required maximum: nothing waits without a bound', async () => {
    const mapping = await create();
    using _held = await mapping.lease('exclusive');
    await expect(mapping.lease('exclusive', { waitMs: 20 })).rejects.toThrow(code('LEASE_TIMEOUT'));
    await expect(mapping.lease('exclusive', { waitMs: 0 })).rejects.toThrow(code('LEASE_HELD'));
    await expect(mapping.lease('exclusive', { maxTries: 0 })).rejects.toThrow(code('INVALID_ARGUMENT'));
    const signal = AbortSignal.timeout(20);
    await expect(mapping.lease('exclusive', { waitMs: 60_000, signal })).rejects.toThrow(code('ABORTED'));
    expect(mapping.tryLease('exclusive')).toBeNull();
  });

  it('no owner in the lock: holds name their holder, and a crash locks nothing for ever', async () => {
    const mapping = await create();
    const holder = leasehold(['lease', mapping.name, '--', 'cat'], { env });
    const holders = async () => (await broker.listLeases({ prefix: mapping.name }))[0]?.holders ?? [];
    await until(async () => (await holders()).length === 1);
    expect((await holders())[0]?.holder).toMatchObject({ pid: holder.pid, name: 'cat' });
    holder.child.kill('SIGKILL');
    using lease = await mapping.lease('exclusive', { waitMs: 60_000 });
    expect(lease.previousOwnerDied).toBe(true);
    // The command outlives it, with its stdin.
    holder.child.stdin?.end();
  });
});

describe('large pages', () => {
  it('the three states: not disabled, large enough or asked for, available; else a fallback or a clear error', async () => {
    const never = await create({ sizeBytes: 8 * MIB });
    expect(never.info.memory).toMatchObject({ pageKind: 'base', fallbackReason: null, stepDowns: [] });
    const small = await create({ sizeBytes: MIB, pages: 'auto' });
    expect(small.info.memory).toMatchObject({ pageKind: 'base', fallbackReason: 'SMALLER_THAN_PAGE' });
    const tooMany = (freeLargePages() + 1) * 2 * MIB;
    // A machine with a large pool would be asked for all of it, and more.
    if (tooMany <= 256 * MIB) {
      const fallback = await create({ sizeBytes: tooMany, pages: 'auto' });
      expect(fallback.info.memory.fallbackReason).toMatch(/^(POOL_EXHAUSTED|UNSUPPORTED)$/);
    }
    await expect(create({ sizeBytes: tooMany, pages: 'require' })).rejects.toMatchObject({
      code: 'LARGE_PAGES_UNAVAILABLE',
      message: expect.stringMatching(/are required, but .*(sysctl vm\.nr_hugepages=\d+|pages: auto)/),
    });
  });

  it.skipIf(skippedLarge !== '')(
    `openers need no privilege and do not ask for large pages${skippedLarge}`,
    async () => {
      needLargePages(4);
      const mapping = await create({ sizeBytes: 8 * MIB, pages: 'require' });
      const freeBefore = freeLargePages();
      const opener = otherProcess();
      expect(await opener.ask({ do: 'attach', name: mapping.name, access: 'read' })).toBeNull();
      await opener.ask({ do: 'checksum', name: mapping.name });
      expect(freeLargePages()).toBe(freeBefore);
      expect(mapping.info.memory).toMatchObject({ pageKind: 'hugetlb-2m', locked: true });
    },
  );

  it('take them early: the broker reports its pool', async () => {
    const pools = (await broker.info()).hugePages;
    for (const pool of pools) expect(pool.totalPages).toBeGreaterThanOrEqual(pool.freePages);
    const report = leasehold(['doctor', '--format', 'json'], { env });
    const { checks } = JSON.parse((await report.ended).stdout.toString());
    expect(checks.map(({ name }: { name: string }) => name).join(' ')).toMatch(/2 ?MiB|huge/i);
  });
});

describe('sizes, rights and lives', () => {
  it.each([1023, 1024, 1025, 4093, 20 * MIB])(
    'zeroing writes exactly %d B, not four times as many',
    async (sizeBytes) => {
      const [before, middle, after] = [
        await create({ sizeBytes }),
        await create({ sizeBytes }),
        await create({ sizeBytes }),
      ];
      await using left = await before.attach('write');
      await using right = await after.attach('write');
      left.bytes.fill(1);
      right.bytes.fill(2);
      const other = otherProcess();
      await other.ask({ do: 'attach', name: middle.name, access: 'write' });
      await other.ask({ do: 'fill', name: middle.name, seed: 3 });
      expect([left.bytes.every((byte) => byte === 1), right.bytes.every((byte) => byte === 2)]).toEqual([true, true]);
      await Promise.all([before, middle, after].map((mapping) => mapping.delete()));
    },
  );

  it('read-only wrapper: readers are mapped read-only by the system', async () => {
    const mapping = await create();
    const reader = leasehold(['lease', mapping.name, '--mode', 'shared', '--', 'cat'], { env });
    const memfds = async (): Promise<string> => {
      const { readFile } = await import('node:fs/promises');
      return readFile(`/proc/${reader.pid}/maps`, 'utf8').catch(() => '');
    };
    const { id } = mapping.info;
    await until(async () => (await memfds()).includes(`memfd:leasehold.${id} `));
    const data = (await memfds()).split('\n').filter((line) => line.includes(`memfd:leasehold.${id} `));
    expect(data.map((line) => line.split(' ')[1])).toEqual(['r--s']);
    reader.child.stdin?.end();
    await reader.ended;
  });

  it('lives until the last user; the creator may go first; recreated memory is zero; use after close is an error', async () => {
    const creator = otherProcess();
    const name = nextName();
    await creator.ask({ do: 'create', name, options: { sizeBytes: 4096, pages: 'never' } });
    const mapping = await broker.mapping(name);
    const last = await mapping.attach('write');
    last.bytes.fill(9);
    creator.kill('SIGKILL');
    await creator.ended;
    expect(last.bytes[4095]).toBe(9);
    await last.close();
    expect([last.bytes.length, last.bytes[0]]).toEqual([0, undefined]);
    expect(() => last.window(0, 1)).toThrow(code('CLOSED'));
    await until(async () => (await broker.listMappings({ prefix: name })).length === 0);
    const anew = await broker.createMapping(name, { sizeBytes: 4096, pages: 'never' });
    using lease = await anew.lease('shared');
    expect([...lease.bytes].every((byte) => byte === 0)).toBe(true);
  });

  it('stable error codes, and the code of the system is kept', async () => {
    const failure = await create({ sizeBytes: 2 ** 50 }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ name: 'LeaseholdError', retryable: true, metadata: expect.anything() });
    expect((failure as { code: string }).code).toMatch(/^(QUOTA_EXCEEDED|OUT_OF_MEMORY)$/);
  });

  it('bindings for other languages: ids are opaque, and never used twice', async () => {
    await using session = await openRpcSession({ runtimeDir, name: 'another language' });
    expect(session.token).toMatch(/^[\w-]{43}$/);
    const ids = new Set<bigint>();
    for (let i = 0; i < 5; i += 1) {
      const mapping = await create();
      ids.add(mapping.info.id);
      await mapping.delete();
    }
    expect(ids.size).toBe(5);
  });

  it('asynchronous reading: a wait blocks no event loop', async () => {
    const mapping = await create();
    const held = await mapping.lease('exclusive');
    const waiting = mapping.lease('shared', { waitMs: 60_000 });
    let turns = 0;
    const sinceNs = monotonicNs();
    while (turns < 100) {
      await new Promise((resume) => setImmediate(resume));
      turns += 1;
    }
    expect(monotonicNs()).toBeGreaterThan(sinceNs);
    held.release();
    using lease = await waiting;
    expect(lease.mode).toBe('shared');
  });

  it('the camera service publishes the list of names: ls has it, and watch tells every change', async () => {
    const stop = new AbortController();
    const told: string[] = [];
    const watching = (async () => {
      for await (const { event, mapping } of broker.watchMappings({ prefix: 'winmmf/', signal: stop.signal })) {
        told.push(`${event} ${mapping?.name ?? ''}`);
      }
    })().catch(() => undefined);
    await until(() => told.includes('synced '));
    const mapping = await create();
    expect((await broker.listMappings({ prefix: mapping.name })).map(({ name }) => name)).toEqual([mapping.name]);
    await mapping.delete();
    await until(() => told.includes(`deleted ${mapping.name}`));
    expect(told).toContain(`created ${mapping.name}`);
    stop.abort();
    await watching;
  });
});
