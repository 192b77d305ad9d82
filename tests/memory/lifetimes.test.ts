// PRIOR-ART "lives until the last user; creator may go first; recreated memory is zero; use after close is an error", "namespaces" and
// "openers need no privilege": one test for each of these words.
import { randomUUID } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { type Broker, connect, type PagePolicy } from '@leasehold/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startSpecialBroker } from '../hostile/special-broker.ts';
import { failureOf } from '../support/failure.ts';
import { freeLargePages, needLargePages, whyNoLargePages } from '../support/large-pages.ts';
import { allocatedBytesOf } from '../support/mapping-memory.ts';
import { fillPattern, isFilled, patternChecksum } from '../support/pattern-bytes.ts';
import { startWorker } from '../support/processes.ts';
import { sharedBroker } from '../support/shared-broker.ts';

const SIZE_BYTES = 5_000_000;
const ZEROS = crc32(new Uint8Array(SIZE_BYTES));
const WANTED_PAGES = 12;
/** Nobody's, and not the broker's. */
const OTHER = { uid: 54_321, gid: 54_321 };

const skippedLarge = whyNoLargePages(WANTED_PAGES);
if (skippedLarge !== '') console.warn(`skipped: lifetimes of large pages: ${skippedLarge}`);

const { runtimeDir } = sharedBroker();

async function connected(where = runtimeDir): Promise<Broker> {
  const broker = await connect({ runtimeDir: where, name: 'lifetimes' });
  onTestFinished(() => broker.close());
  return broker;
}

const someName = (): string => `lifetimes/${randomUUID()}`;
const goneFrom = (broker: Broker, name: string) => () =>
  broker.mapping(name).then(
    () => 'there',
    ({ code }) => code,
  );

describe('a mapping whose creator leaves first', () => {
  it.each(['leaves', 'is killed'])('stays until the last attachment ends, when its creator %s', async (how) => {
    const broker = await connected();
    const name = someName();
    const creator = startWorker('memory-client', [runtimeDir]);
    const options = { sizeBytes: SIZE_BYTES, pages: 'never' };
    await creator.ask({ do: 'create', name, options });
    await creator.ask({ do: 'attach', name, access: 'write' });
    const checksum = await creator.ask({ do: 'fill', name, seed: 1 });
    const attachment = await (await broker.mapping(name)).attach('read');
    if (how === 'leaves') await creator.ask({ do: 'close' });
    else creator.kill('SIGKILL');
    const { pid } = await broker.info();
    await expect.poll(async () => (await broker.mapping(name)).info.writers).toBe(0);
    expect(crc32(attachment.bytes as Uint8Array)).toBe(checksum);
    // Others may still come.
    const late = startWorker('memory-client', [runtimeDir]);
    expect(await late.ask({ do: 'attach', name, access: 'read' })).toBe(null);
    expect(await late.ask({ do: 'checksum', name })).toBe(checksum);
    const allocated = allocatedBytesOf(pid);
    await attachment.close();
    expect(await goneFrom(broker, name)()).toBe('there');
    await late.ask({ do: 'detach', name });
    await expect.poll(goneFrom(broker, name)).toBe('MAPPING_NOT_FOUND');
    await expect.poll(() => allocated - allocatedBytesOf(pid)).toBeGreaterThanOrEqual(SIZE_BYTES);
  });

  it('goes with him when nobody else has it', async () => {
    const broker = await connected();
    const name = someName();
    const creator = startWorker('memory-client', [runtimeDir]);
    await creator.ask({ do: 'create', name, options: { sizeBytes: SIZE_BYTES, pages: 'never' } });
    expect(await goneFrom(broker, name)()).toBe('there');
    creator.kill('SIGKILL');
    await expect.poll(goneFrom(broker, name)).toBe('MAPPING_NOT_FOUND');
  });

  it('stays for ever, with its data, when it was created persistent', async () => {
    const broker = await connected();
    const name = someName();
    const creator = startWorker('memory-client', [runtimeDir]);
    await creator.ask({ do: 'create', name, options: { sizeBytes: SIZE_BYTES, pages: 'never', persistent: true } });
    await creator.ask({ do: 'attach', name, access: 'write' });
    const checksum = await creator.ask({ do: 'fill', name, seed: 2 });
    creator.kill('SIGKILL');
    await creator.ended;
    await expect.poll(async () => (await broker.mapping(name)).info.writers).toBe(0);
    for (let round = 0; round < 2; round += 1) {
      await using attachment = await (await broker.mapping(name)).attach('read');
      expect(crc32(attachment.bytes as Uint8Array)).toBe(checksum);
    }
    expect((await broker.mapping(name)).info).toMatchObject({ persistent: true, readers: 0, writers: 0 });
    await broker.deleteMapping(name);
  });
});

describe.each([
  { kind: 'base', pages: 'never' satisfies PagePolicy, skipped: '' },
  { kind: 'hugetlb-2m', pages: 'require' satisfies PagePolicy, skipped: skippedLarge },
] as const)('memory of $kind pages', ({ kind, pages, skipped }) => {
  const test = it.skipIf(skipped !== '');
  const options = { sizeBytes: SIZE_BYTES, pages };

  test('is zero when it is created anew under the same name', async () => {
    if (kind !== 'base') needLargePages(WANTED_PAGES);
    const broker = await connected();
    const other = startWorker('memory-client', [runtimeDir]);
    const name = someName();
    const ids = new Set<bigint>();
    for (let round = 0; round < 5; round += 1) {
      const mapping = await broker.createMapping(name, options);
      ids.add(mapping.info.id);
      expect(mapping.info.memory.pageKind).toBe(kind);
      await using attachment = await mapping.attach('write');
      expect(isFilled(attachment.bytes, 0)).toBe(true);
      attachment.bytes.fill(0xff);
      await other.ask({ do: 'attach', name, access: 'read' });
      expect(await other.ask({ do: 'checksum', name })).not.toBe(ZEROS);
      await other.ask({ do: 'detach', name });
      await mapping.delete();
      await other.ask({ do: 'forget', name });
    }
    expect(ids.size).toBe(5);
  });

  test('that is deleted while others have it stays theirs, beside what has its name now', async () => {
    if (kind !== 'base') needLargePages(WANTED_PAGES);
    const broker = await connected();
    const name = someName();
    const old = await (await broker.createMapping(name, options)).attach('write');
    const checksum = fillPattern(old.bytes, 3);
    await broker.deleteMapping(name);
    expect(old.deleted).toBe(true);
    const anew = await (await broker.createMapping(name, options)).attach('write');
    expect(isFilled(anew.bytes, 0)).toBe(true);
    fillPattern(anew.bytes, 4);
    expect(crc32(old.bytes)).toBe(checksum);
    const free = freeLargePages();
    await old.close();
    expect(crc32(anew.bytes)).toBe(patternChecksum(SIZE_BYTES, 4));
    if (kind !== 'base') await expect.poll(() => freeLargePages() - free).toBe(3);
    await broker.deleteMapping(name);
  });
});

describe('use after close', () => {
  it('of an attachment is an error or nothing, never somebody else’s memory', async () => {
    const broker = await connected();
    const mapping = await broker.createMapping(someName(), { sizeBytes: SIZE_BYTES, pages: 'never' });
    const attachment = await mapping.attach('write');
    const { bytes } = attachment;
    const kept = {
      part: bytes.subarray(100, 200),
      words: new Uint32Array(bytes.buffer, 0, 10),
      view: new DataView(bytes.buffer),
    };
    const { memory } = attachment;
    await attachment.close();
    await attachment.close();
    expect([bytes.length, kept.part.length, kept.words.length, attachment.bytes.length]).toEqual([0, 0, 0, 0]);
    expect(() => kept.view.getUint8(0)).toThrow(TypeError);
    bytes[0] = 1;
    kept.words[0] = 1;
    const uses = [
      () => attachment.sizeBytes,
      () => attachment.window(0, 1),
      () => attachment.advise('willneed'),
      () => memory.sizeBytes,
    ];
    for (const use of uses) expect(await failureOf(use, String(use))).toMatchObject({ code: 'CLOSED' });
    expect(() => memory.bytes(0, 1)).toThrow();
    expect(() => memory.populate(0, 4096)).toThrow();
    await using again = await mapping.attach('read');
    expect(isFilled(again.bytes as Uint8Array, 0)).toBe(true);
  });

  it('of a lease is an error or nothing', async () => {
    const broker = await connected();
    const mapping = await broker.createMapping(someName(), { sizeBytes: SIZE_BYTES, pages: 'never' });
    const lease = await mapping.lease('exclusive');
    const { bytes } = lease;
    const part = bytes.subarray(10);
    expect(lease.release()).toBe(true);
    expect([bytes.length, part.length, lease.bytes.length, lease.timeLeftMs]).toEqual([0, 0, 0, 0]);
    const uses = [
      () => lease.window(0, 1),
      () => lease.advise('random'),
      () => lease.renew(),
      () => mapping.resize(1, { lease }),
    ];
    for (const use of uses) expect(await failureOf(use, String(use))).toMatchObject({ code: 'CLOSED' });
    expect((await broker.mapping(mapping.name)).info.memory.payloadBytes).toBe(SIZE_BYTES);
  });

  it('of a connection is CLOSED, and everything opened through it is empty', async () => {
    const broker = await connected();
    const mapping = await broker.createMapping(someName(), { sizeBytes: SIZE_BYTES, pages: 'never' });
    const attachment = await mapping.attach('write');
    const lease = await mapping.lease('shared');
    const taken = [attachment.bytes, lease.bytes, attachment.window(0, 9).bytes];
    await broker.close();
    expect(taken.map(({ length }) => length)).toEqual([0, 0, 0]);
    const uses = [
      () => mapping.attach('read'),
      () => mapping.lease('shared'),
      () => mapping.resize(1),
      () => mapping.grow(SIZE_BYTES + 1),
      () => broker.createMapping(someName(), { sizeBytes: 1 }),
    ];
    for (const use of uses) expect(await failureOf(use, String(use))).toMatchObject({ code: 'CLOSED' });
  });
});

describe('one runtime directory is one scope', () => {
  const elsewhere = sharedBroker();

  it('the same name in two of them is two mappings', async () => {
    const [here, there] = [await connected(), await connected(elsewhere.runtimeDir)];
    const name = someName();
    const mine = await (await here.createMapping(name, { sizeBytes: SIZE_BYTES, pages: 'never' })).attach('write');
    fillPattern(mine.bytes, 5);
    expect(await failureOf(() => there.mapping(name))).toMatchObject({ code: 'MAPPING_NOT_FOUND' });
    const theirs = await (await there.createMapping(name, { sizeBytes: 10, pages: 'never' })).attach('write');
    expect(theirs.bytes).toHaveLength(10);
    theirs.bytes.fill(1);
    await there.deleteMapping(name);
    expect(crc32(mine.bytes)).toBe(patternChecksum(SIZE_BYTES, 5));
    expect((await here.mapping(name)).info.memory.payloadBytes).toBe(SIZE_BYTES);
  });
});

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn('skipped: openers without privilege: only root can start processes of another user');

describe.skipIf(!isRoot || skippedLarge !== '')('who opens large pages', () => {
  it('needs no privilege, and does not ask for them', async () => {
    needLargePages(WANTED_PAGES);
    const special = await startSpecialBroker({ mayDo: ['connect', 'info', 'list', 'read', 'write'] });
    const broker = await connected(special.runtimeDir);
    const name = someName();
    const mapping = await broker.createMapping(name, {
      sizeBytes: SIZE_BYTES,
      reserveBytes: 2 * SIZE_BYTES,
      pages: 'require',
    });
    expect(mapping.info.memory.pageKind).toBe('hugetlb-2m');
    const free = freeLargePages();
    const opener = startWorker('memory-client', [special.runtimeDir], OTHER);
    expect(await opener.ask({ do: 'lease', name, mode: 'exclusive' })).toBe(null);
    expect(await opener.ask({ do: 'fill', name, seed: 6 })).toBe(patternChecksum(SIZE_BYTES, 6));
    await opener.ask({ do: 'release', name });
    const attachment = await mapping.attach('read');
    expect(crc32(attachment.bytes as Uint8Array)).toBe(patternChecksum(SIZE_BYTES, 6));
    expect(freeLargePages()).toBe(free);
  });
});
