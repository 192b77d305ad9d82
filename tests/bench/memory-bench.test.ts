/** That the memory benchmark runs, measures what it can have, says what it cannot, and puts the machine back. Never how fast anything is. */
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { command } from '../support/processes.ts';
import { tempDir } from '../support/temp-dir.ts';
import { MEMORY_BLOCK } from './memory-document.ts';
import { BLOCK_IDS, type MemoryReport } from './memory-figures.ts';
import { KINDS, QUICK, tooSmallFor } from './memory-plan.ts';
import { bytesText } from './memory-report.ts';
import { touch, walk, walked, wordsOf } from './memory-touch.ts';
import { replaceBlock } from './report/blocks.ts';

const MAIN = fileURLToPath(new URL('memory-main.ts', import.meta.url));

function poolTotals(): (string | null)[] {
  const files = ['2048', '1048576'].map((kib) => `/sys/kernel/mm/hugepages/hugepages-${kib}kB/nr_hugepages`);
  return files.map((file) => (existsSync(file) ? readFileSync(file, 'utf8') : null));
}

function checkPages({ touches, walks, notMeasured }: MemoryReport): void {
  expect(touches.some(({ kind }) => kind === 'base')).toBe(true);
  for (const { sizeBytes, rounds, workingSets } of QUICK.sizes) {
    for (const kind of KINDS.filter((kind) => !tooSmallFor(kind, sizeBytes))) {
      const found = touches.find((result) => result.kind === kind && result.sizeBytes === sizeBytes);
      const missed = notMeasured.find(({ what }) => what === `${kind}, ${bytesText(sizeBytes)}`);
      // Either the figures or the reason, never both and never neither.
      expect([found !== undefined, missed !== undefined].filter(Boolean), `${kind}, ${sizeBytes} B`).toHaveLength(1);
      if (found === undefined) continue;
      for (const part of [
        found.firstCreate,
        found.create,
        found.attach,
        found.firstTouch,
        found.secondTouch,
        found.inOrder,
      ]) {
        expect(part.n).toBe(rounds);
        expect(part.p50Ns).toBeGreaterThan(0);
      }
      const sets = walks.filter((result) => result.kind === kind && result.sizeBytes === sizeBytes);
      expect(sets.map(({ setBytes }) => setBytes)).toEqual(workingSets);
      for (const { read } of sets) expect(read.n).toBe(rounds * QUICK.reads.batches);
    }
  }
}

function checkBlocks({ blocks, notMeasured }: MemoryReport): void {
  for (const id of BLOCK_IDS) {
    const found = blocks.results.find((result) => result.id === id);
    if (found === undefined) expect(notMeasured.map(({ what }) => what.split(',')[0])).toContain(id);
    else expect(found.touched.p50Ns).toBeGreaterThan(found.had.p50Ns);
  }
  expect(blocks.results.map(({ id }) => id)).toEqual(
    expect.arrayContaining(['alloc', 'alloc-unsafe', 'pages-base', 'mapping-base', 'lease-base']),
  );
}

function checkResizes({ resizes, reserves, notMeasured }: MemoryReport): void {
  const { attachments, steps, rounds } = QUICK.resize;
  const base = resizes.filter(({ kind }) => kind === 'base');
  expect(base).toHaveLength(attachments.length * steps.length * 2);
  for (const { latency } of resizes) expect(latency.n).toBe(rounds);
  const large = resizes.length + reserves.length - base.length - 1;
  if (large === 0) expect(notMeasured.map(({ what }) => what).join()).toContain('resize');

  // Untouched, it costs addresses.
  const reserve = reserves.find(({ kind }) => kind === 'base');
  expect(reserve?.reserveBytes).toBe(64 * 2 ** 30);
  expect(
    (reserve?.residentBytes ?? Number.POSITIVE_INFINITY) + (reserve?.pageTableBytes ?? Number.POSITIVE_INFINITY),
  ).toBeLessThan(2 ** 20);
}

describe('npm run bench:memory', () => {
  it('has figures or a reason for every kind of page, and leaves the pools as they were', async () => {
    const pools = poolTotals();
    const file = join(tempDir(), 'memory.json');
    const { code, stdout, stderr } = await command(process.execPath, [MAIN, '--quick', '--json', file]).ended;
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/^(bench:memory: [^\n]+\n)+$/);
    expect(poolTotals()).toEqual(pools);

    const report = JSON.parse(readFileSync(file, 'utf8')) as MemoryReport;
    expect(report.quick).toBe(true);
    checkPages(report);
    checkBlocks(report);
    checkResizes(report);
    for (const during of ['idle', 'bystander', 'base'] as const) {
      const checks = report.health.filter((result) => result.during === during);
      expect(checks.map(({ check }) => check)).toEqual(['health', 'info']);
      for (const { latency } of checks) expect(latency.n).toBeGreaterThan(0);
    }
    const text = stdout.toString();
    expect(text).toContain(report.machine.cpuModel);
    for (const { what, why } of report.notMeasured) expect(text).toContain(`- ${what}: ${why}`);
  });

  it('puts the pools back and ends its processes when it is interrupted', async () => {
    const pools = poolTotals();
    const { child, ended } = command(process.execPath, [MAIN, '--quick']);
    const { stderr: lines } = child;
    if (lines === null) throw new Error('stderr is no pipe');
    const over = ended.then(({ stderr }) => Promise.reject(new Error(`it ended by itself: ${stderr}`)));
    let told = '';
    // By then it has set the pool, if it may.
    while (!told.includes('hugetlb-2m')) told += (await Promise.race([once(lines, 'data'), over]))[0];
    over.catch(() => undefined);
    child.kill('SIGINT');
    const { code, stderr } = await ended;
    expect(code, stderr).toBe(1);
    expect(stderr).toMatch(/\nbench:memory: interrupted\n$/);
    expect(poolTotals()).toEqual(pools);
  });

  it('refuses an option it does not know, and a document made of a quick run', async () => {
    const unknown = await command(process.execPath, [MAIN, '--fast']).ended;
    expect(unknown).toMatchObject({ code: 1, stderr: expect.stringMatching(/^bench:memory: .*--fast/) });
    const quick = await command(process.execPath, [MAIN, '--quick', '--docs']).ended;
    expect(quick).toMatchObject({ code: 1, stderr: expect.stringContaining('leave --quick out') });
  });
});

describe('the loops', () => {
  it('walk the whole set and nothing else, at places that what was read decides', () => {
    const words = new Uint32Array(8_192);
    const setBytes = words.byteLength / 2;
    const seen = new Set<number>();
    const spy = new Proxy(words, {
      get: (target, key) => {
        seen.add(Number(key));
        return target[Number(key)];
      },
    });
    expect(walk(spy, setBytes, 60_000, 1)).toBe(walked(60_000, 1));
    expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: setBytes / 4 }, (_, index) => index));
    words.fill(7);
    expect(walk(words, setBytes, 60_000, 1)).not.toBe(walked(60_000, 1));
  });

  it('touch one byte of every 4 KiB', () => {
    const bytes = new Uint8Array(3 * 4_096 + 1).fill(1);
    touch(bytes);
    expect([...bytes.entries()].filter(([, byte]) => byte === 0).map(([offset]) => offset)).toEqual([
      0, 4_096, 8_192, 12_288,
    ]);
    expect(wordsOf(bytes.subarray(4)).length).toBe(3 * 1_024 - 1);
  });
});

describe('docs/MEMORY.md', () => {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const text = readFileSync(join(root, 'docs/MEMORY.md'), 'utf8');

  it('gets the report between its markers', () => {
    const block = '<!-- memory-bench:begin -->\nfigures\n<!-- memory-bench:end -->\n';
    expect(replaceBlock(text, MEMORY_BLOCK, 'figures')).toContain(block);
    expect(() => replaceBlock('', MEMORY_BLOCK, '')).toThrow('docs/MEMORY.md must have one');
  });

  it('names tests that there are', () => {
    const named = [...text.matchAll(/`([\w./-]+\.test\.ts)`/g)].map(([, path]) => path ?? '');
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });
});
