// The kernel's own pool of 2 MiB pages under `leasehold serve --huge-pages-reserve`: grown, used, given back, also by a successor.
import { accessSync, chownSync, constants, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '@leasehold/client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { STRANGER, said, until } from '../cli/run.ts';
import { startBroker } from '../support/broker-process.ts';
import { readMetrics } from '../support/http-socket.ts';
import { leasehold, startWorker } from '../support/processes.ts';
import { tempDir } from '../support/temp-dir.ts';

const MIB = 2 ** 20;
const PAGE_BYTES = 2 * MIB;
const POOL = '/sys/kernel/mm/hugepages/hugepages-2048kB';
/** What the brokers of these tests are to find free. */
const RESERVE_PAGES = 32;
const RESERVE = ['--huge-pages-reserve', `${(RESERVE_PAGES * PAGE_BYTES) / MIB}MiB`];

const count = (name: string): number => Number(readFileSync(join(POOL, `${name}_hugepages`), 'utf8'));
const surplus = (): number => count('surplus');
/** Pages that stay in the pool when they are free. */
const persistent = (): number => count('nr') - surplus();
const free = (): number => count('free') - count('resv');

/** Leaves so many pages free for one test, and the pool as it was after it. */
function poolWith(freePages: number): number {
  const original = persistent();
  onTestFinished(() => writeFileSync(join(POOL, 'nr_hugepages'), String(original)));
  const wanted = original + freePages - free();
  writeFileSync(join(POOL, 'nr_hugepages'), String(wanted));
  return persistent();
}

function whyNot(): string {
  try {
    accessSync(join(POOL, 'nr_hugepages'), constants.W_OK);
    return process.getuid?.() === 0 ? '' : 'only root may change the pool';
  } catch (error) {
    return String(error);
  }
}

const skipped = whyNot();
if (skipped !== '') console.warn(`skipped: ${skipped}`);

const describeOnPool = describe.skipIf(skipped !== '');

describeOnPool(`a broker that reserves huge pages${skipped && ` (skipped: ${skipped})`}`, () => {
  it('adds what lacks at its start, shows it, and gives back exactly that when it ends', async () => {
    const before = poolWith(5);
    const broker = await startBroker(RESERVE);
    expect([persistent(), free()]).toEqual([before + RESERVE_PAGES - 5, RESERVE_PAGES]);
    expect(broker.stderr()).toMatch(/"askedPages":27,"gotPages":27,.*"msg":"huge pages are reserved"/);
    const metrics = await readMetrics(broker.runtimeDir);
    const of = (state: string) => metrics.get(`leasehold_huge_pages{page_kind="hugetlb-2m",state="${state}"}`);
    expect([of('total'), of('free'), of('reserved'), of('ours')]).toEqual([
      count('nr'),
      count('free'),
      count('resv'),
      0,
    ]);
    expect(metrics.get('leasehold_huge_pages_added')).toBe(27);
    expect(await broker.stop()).toBe(0);
    expect(persistent()).toBe(before);
    expect(existsSync(join(broker.base, 'state/huge-pages.json'))).toBe(false);
  });

  it('counts the pages of its mappings as ours, and leaves those in use to the kernel when it ends before its clients', async () => {
    const before = poolWith(0);
    const broker = await startBroker([...RESERVE, '--drain-ms', '0']);
    const client = startWorker('memory-client', [broker.runtimeDir]);
    const options = { sizeBytes: 10 * PAGE_BYTES, pages: 'require' };
    expect(await client.ask({ do: 'create', name: 'table', options })).toMatchObject({ pageKind: 'hugetlb-2m' });
    await client.ask({ do: 'attach', name: 'table', access: 'write' });
    await until(async () => {
      const metrics = await readMetrics(broker.runtimeDir);
      return metrics.get('leasehold_huge_pages{page_kind="hugetlb-2m",state="ours"}') === 10;
    });
    const looking = await connect({ runtimeDir: broker.runtimeDir });
    expect((await looking.info()).hugePages.find(({ pageKind }) => pageKind === 'hugetlb-2m')).toMatchObject({
      ourPages: 10,
    });
    await looking.close();
    expect(await broker.stop()).toBe(0);
    expect([persistent(), surplus()]).toEqual([before, 10]);
    client.kill('SIGKILL');
    await client.ended;
    await until(() => surplus() === 0);
    expect(persistent()).toBe(before);
  });

  it('leaves its debt to the next one when it is killed, which gives back both', async () => {
    const before = poolWith(0);
    const first = await startBroker(RESERVE);
    first.child.kill('SIGKILL');
    await first.ended;
    expect(persistent()).toBe(before + RESERVE_PAGES);
    const second = await startBroker(['--huge-pages-reserve', '80MiB'], first.base);
    expect(second.stderr()).toContain('a broker before left huge pages');
    expect([persistent(), free()]).toEqual([before + 40, 40]);
    expect((await readMetrics(second.runtimeDir)).get('leasehold_huge_pages_added')).toBe(40);
    second.child.kill('SIGKILL');
    await second.ended;
    const third = await startBroker([], first.base);
    expect(persistent()).toBe(before + 40);
    expect(await third.stop()).toBe(0);
    expect(persistent()).toBe(before);
  });

  it('takes nothing away that was set by hand since a broker was killed', async () => {
    const before = poolWith(0);
    const first = await startBroker(RESERVE);
    first.child.kill('SIGKILL');
    await first.ended;
    writeFileSync(join(POOL, 'nr_hugepages'), String(before + 8));
    const second = await startBroker([], first.base);
    expect(await second.stop()).toBe(0);
    expect(persistent()).toBe(before + 8);
  });

  it('that may not change the pool says what to run, and serves', async () => {
    const before = poolWith(0);
    const base = tempDir();
    chownSync(base, STRANGER.uid, STRANGER.gid);
    const places = ['--runtime-dir', join(base, 'run'), '--state-dir', join(base, 'state'), '--http', 'off'];
    const broker = leasehold(['serve', ...places, ...RESERVE], STRANGER);
    await said(broker, /leasehold: serving/);
    const hint = `run as root: sysctl vm.nr_hugepages=${before + RESERVE_PAGES}`;
    expect(broker.stderr()).toContain('"msg":"huge pages cannot be reserved"');
    expect(broker.stderr()).toContain(`"hint":"${hint}"`);
    expect(persistent()).toBe(before);
    broker.child.kill('SIGTERM');
    expect((await broker.ended).code).toBe(0);
  });
});

describeOnPool(`an operator who forbids large pages${skipped && ` (skipped: ${skipped})`}`, () => {
  it.each([
    ['by a flag', (_path: string) => ['--huge-pages', 'never']],
    ['in a configuration file', (path: string) => ['--config', path]],
  ])('%s leaves base pages to whoever can do with them, and refuses the others', async (_how, argsFor) => {
    poolWith(8);
    const config = join(tempDir(), 'leasehold.toml');
    writeFileSync(config, '[hugePages]\nuse = "never"\n');
    const { runtimeDir } = await startBroker(argsFor(config));
    const broker = await connect({ runtimeDir });
    onTestFinished(() => broker.close());
    const { info } = await broker.createMapping('a', { sizeBytes: PAGE_BYTES, pages: 'auto' });
    expect(info.memory).toMatchObject({ pageKind: 'base', fallbackReason: 'DISABLED' });
    await expect(broker.createMapping('b', { sizeBytes: PAGE_BYTES, pages: 'require' })).rejects.toMatchObject({
      code: 'LARGE_PAGES_UNAVAILABLE',
    });
  });
});
