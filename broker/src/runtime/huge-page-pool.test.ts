import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tryLockFile } from '@leasehold/shm-core/internal';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type HugePageDebt, readDebt, storeDebt } from './huge-page-debt.ts';
import { type HugePagePool, openHugePagePool } from './huge-page-pool.ts';
import { KernelPool } from './kernel-pool.ts';
import { FakeKernel } from './testing/fake-kernel.ts';

const PAGE = 2 ** 21;
const WARN = 40;

let root: string;
let stateDir: string;
let kernel: FakeKernel;
let log: { level: number; msg: string; hint?: string }[];
const open: HugePagePool[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lh-pool-'));
  stateDir = join(root, 'state');
  mkdirSync(stateDir);
  kernel = new FakeKernel(root);
  log = [];
});
afterEach(async () => {
  for (const pool of open.splice(0)) await pool.close();
  rmSync(root, { recursive: true, force: true });
});

const logger = pino({ level: 'trace' }, { write: (line: string) => void log.push(JSON.parse(line)) });
const poolOf = async (reservePages: number, options: { signal?: AbortSignal; kernel?: KernelPool } = {}) => {
  const pool = await openHugePagePool({
    reserveBytes: reservePages * PAGE,
    stateDir,
    logger,
    kernel: kernel.pool,
    ...options,
  });
  open.push(pool);
  return pool;
};
const warnings = () => log.filter(({ level }) => level >= WARN).map(({ msg }) => msg);
const debt = (values: Partial<HugePageDebt>): HugePageDebt => ({
  bootId: 'this-boot',
  addedPages: 10,
  othersPages: 5,
  adding: false,
  ...values,
});

describe('a broker that reserves huge pages', () => {
  it('adds what lacks to what is free and promised to nobody, and gives back exactly that', async () => {
    kernel.set({ persistent: 20, used: 8, reserved: 4 });
    const pool = await poolOf(30);
    expect(kernel.persistent).toBe(42);
    expect(pool.addedPages).toBe(22);
    await pool.close();
    expect(kernel.persistent).toBe(20);
    expect(readDebt(stateDir)).toBeNull();
    expect(warnings()).toEqual([]);
  });

  it('rounds up to whole pages', async () => {
    const pool = await openHugePagePool({ reserveBytes: PAGE + 1, stateDir, logger, kernel: kernel.pool });
    open.push(pool);
    expect(kernel.persistent).toBe(2);
  });

  it('leaves the pool alone when enough is free, and when nothing is to be reserved', async () => {
    kernel.set({ persistent: 30 });
    await (await poolOf(30)).close();
    await (await poolOf(0)).close();
    expect(kernel.written).toEqual([]);
  });

  it('has written down what it is about to add before the kernel adds the first page', async () => {
    kernel.set({ persistent: 7 });
    const seen: (HugePageDebt | null)[] = [];
    kernel.onWrite = () => seen.push(readDebt(stateDir));
    const pool = await poolOf(600);
    expect(seen[0]).toEqual(debt({ othersPages: 7, addedPages: 593, adding: true }));
    expect(readDebt(stateDir)).toEqual(debt({ othersPages: 7, addedPages: 593 }));
    expect(kernel.written).toEqual([263, 519, 600]);
    await pool.close();
  });

  it('gives back pages that others have made surplus in between as surplus', async () => {
    kernel.set({ persistent: 4, surplus: 3, used: 7 });
    const pool = await poolOf(5);
    expect([kernel.persistent, kernel.surplus]).toEqual([12, 0]);
    await pool.close();
    expect([kernel.persistent, kernel.surplus]).toEqual([4, 3]);
  });

  it('leaves to the kernel the pages that clients still use: they go when they are freed', async () => {
    kernel.set({ persistent: 2 });
    const pool = await poolOf(10);
    kernel.set({ persistent: 10, used: 6 });
    await pool.close();
    expect([kernel.persistent, kernel.surplus]).toEqual([2, 4]);
    expect(readDebt(stateDir)).toBeNull();
  });

  it('keeps what others have added meanwhile, and stays away from a pool that somebody else made smaller', async () => {
    const first = await poolOf(10);
    kernel.resize(14);
    await first.close();
    expect(kernel.persistent).toBe(4);
    const second = await poolOf(10);
    kernel.resize(7);
    await second.close();
    expect(kernel.persistent).toBe(7);
    expect(warnings()).toEqual(['somebody else has set the pool of huge pages since: it stays as it is']);
  });

  it('stops growing when the broker is told to stop, and gives back what it has', async () => {
    const stop = new AbortController();
    kernel.onWrite = () => stop.abort();
    const pool = await poolOf(1_000, { signal: stop.signal });
    expect(pool.addedPages).toBe(256);
    await pool.close();
    expect(kernel.persistent).toBe(0);
  });

  it('asks again for a while when the pool does not shrink', async () => {
    const pool = await poolOf(10);
    kernel.ignoredWrites = 3;
    await pool.close();
    expect([kernel.written.length, kernel.persistent]).toEqual([5, 0]);
  });

  it('counts what others have added before it gives back: its record never speaks of their pages', async () => {
    const pool = await poolOf(10);
    kernel.resize(34);
    let recordedThen: HugePageDebt | null = null;
    kernel.onWrite = () => {
      recordedThen = readDebt(stateDir);
    };
    await pool.close();
    expect(recordedThen).toEqual(debt({ othersPages: 24, addedPages: 10 }));
  });
});

describe('a broker that cannot have what it should reserve', () => {
  it('warns that memory is fragmented, says what to do, and gives back what it got', async () => {
    kernel.set({ persistent: 5, used: 5 });
    kernel.pagesMax = 300;
    const pool = await poolOf(500);
    expect(pool.addedPages).toBe(295);
    expect(log.at(-1)).toMatchObject({ level: WARN, askedPages: 500, gotPages: 295, limitedBy: 'fragmentation' });
    expect(log.at(-1)?.hint).toMatch(/vm\.compact_memory.*hugepages=500/);
    await pool.close();
    expect(kernel.persistent).toBe(5);
  });

  it('leaves the machine what it needs, and warns that there is not enough', async () => {
    kernel = new FakeKernel(root, { availableBytes: 2 ** 30 });
    const pool = await poolOf(1_000);
    expect(pool.addedPages).toBe((1_024 - 256) / 2);
    expect(log.at(-1)).toMatchObject({ level: WARN, limitedBy: 'memory' });
  });

  it('warns without privilege, says what to run, and owes nothing', async () => {
    kernel.set({ persistent: 3, used: 1 });
    kernel.onWrite = () => {
      throw Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' });
    };
    const pool = await poolOf(10);
    expect(log.at(-1)).toMatchObject({ level: WARN, hint: 'run as root: sysctl vm.nr_hugepages=11' });
    expect(pool.addedPages).toBe(0);
    expect(readDebt(stateDir)).toBeNull();
  });

  it('does not wait for the pool any more once it is told to stop', async () => {
    const others = tryLockFile(kernel.pool.lockPath);
    const stop = new AbortController();
    const opening = poolOf(10, { signal: stop.signal });
    stop.abort();
    expect((await opening).addedPages).toBe(0);
    expect(warnings()).toEqual(['huge pages cannot be reserved']);
    expect(kernel.written).toEqual([]);
    others?.close();
  });

  it('warns where the pool cannot even be read', async () => {
    const unreadable = new KernelPool(join(root, 'unreadable'));
    mkdirSync(join(unreadable.path, '../surplus_hugepages'), { recursive: true });
    expect((await poolOf(10, { kernel: unreadable })).addedPages).toBe(0);
    expect(log.at(-1)).toMatchObject({ level: WARN, hint: expect.stringMatching(/^look at .*nr_hugepages: .*EISDIR/) });
  });

  it('keeps account of what it got before the kernel refused', async () => {
    kernel.onWrite = () => {
      if (kernel.written.length > 0) throw new Error('EIO');
    };
    const pool = await poolOf(300);
    expect(pool.addedPages).toBe(256);
    expect(readDebt(stateDir)).toEqual(debt({ othersPages: 0, addedPages: 256 }));
    kernel.onWrite = () => undefined;
    await pool.close();
    expect(kernel.persistent).toBe(0);
  });

  it('warns where the kernel has no such pages, unless nothing was asked', async () => {
    const none = new KernelPool(join(root, 'nowhere'));
    await poolOf(0, { kernel: none });
    expect(warnings()).toEqual([]);
    expect((await poolOf(1, { kernel: none })).addedPages).toBe(0);
    expect(warnings()).toEqual(['this kernel has no 2 MiB pages: none are reserved']);
  });

  it('leaves its debt on the disk when giving back fails', async () => {
    const pool = await poolOf(10);
    kernel.onWrite = () => {
      throw new Error('EROFS');
    };
    await pool.close();
    expect(warnings()).toEqual(['huge pages are not given back: the next broker will do it']);
    expect(readDebt(stateDir)).toMatchObject({ addedPages: 10, othersPages: 0 });
  });
});

describe('a broker after one that was killed', () => {
  const recorded = { addedPages: 10, othersPages: 5 };
  it.each([
    ['after it had added pages', debt(recorded), 15, 5],
    ['while the kernel was adding them', debt({ ...recorded, adding: true }), 9, 5],
    ['before the kernel began to add them', debt({ ...recorded, adding: true }), 5, 5],
    ['and others have added pages since', debt(recorded), 40, 30],
    ['in the moment when it had given its pages back', debt(recorded), 5, 5],
    ['and the machine has started anew since', debt({ ...recorded, bootId: 'the-boot-before' }), 15, 15],
    ['and somebody has made the pool smaller since', debt(recorded), 12, 12],
    ['and somebody has emptied the pool since', debt(recorded), 0, 0],
  ])('%s takes away what that one owed, and no page more', async (_when, left, persistent, expected) => {
    storeDebt(stateDir, left);
    kernel.set({ persistent });
    const pool = await poolOf(0);
    expect(pool.addedPages).toBe(persistent - expected);
    expect(kernel.persistent).toBe(persistent);
    await pool.close();
    expect(kernel.persistent).toBe(expected);
    expect(readDebt(stateDir)).toBeNull();
  });

  it('adds only what lacks beside what that one left, and gives both back', async () => {
    storeDebt(stateDir, debt(recorded));
    kernel.set({ persistent: 15, used: 5 });
    const pool = await poolOf(12);
    expect([kernel.persistent, pool.addedPages]).toEqual([17, 12]);
    await pool.close();
    expect(kernel.persistent).toBe(5);
  });

  it.each(['', 'garbage', '{"bootId":"this-boot","addedPages":-1,"othersPages":0,"adding":false}'])(
    'makes nothing of a damaged record (%j)',
    async (text) => {
      writeFileSync(join(stateDir, 'huge-pages.json'), text);
      kernel.set({ persistent: 15 });
      const pool = await poolOf(20);
      expect(warnings()).toEqual(['the record of the huge pages that a broker before had added is of no use']);
      await pool.close();
      expect(kernel.persistent).toBe(15);
    },
  );

  it('leaves a living broker its debt, even if both have the same state directory', async () => {
    const first = await poolOf(10);
    const second = await poolOf(20);
    expect(warnings()).toEqual(['another broker with this state directory looks after the huge pages']);
    await second.close();
    expect([kernel.persistent, second.addedPages]).toEqual([10, 0]);
    await first.close();
    expect(kernel.persistent).toBe(0);
  });
});
