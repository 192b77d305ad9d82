/** That the benchmark runs, and that what it reports is what it says. Never how fast anything is. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { command } from '../support/processes.ts';
import { tempDir } from '../support/temp-dir.ts';
import { LEASE_FIGURES, type LeaseReport, PAIRS_PER_BATCH } from './lease-figures.ts';
import { distribution, latenciesNs } from './measure.ts';
import { replaceBlock } from './report.ts';
import type { BenchReport } from './run.ts';
import { FRAME_BYTES, SMALL_BYTES, VARIANTS } from './variants.ts';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));

function checkLeases({ results, rpcRatio }: LeaseReport): void {
  expect(results.map(({ id }) => id)).toEqual([...LEASE_FIGURES.keys()]);
  const ofId = (id: string) => results.find((result) => result.id === id);
  for (const { id, latency, pairsPerSample } of results) {
    expect(latency.p50Ns, id).toBeGreaterThan(0);
    expect(pairsPerSample).toBe(/^(try|lease)-/.test(id) ? PAIRS_PER_BATCH : 1);
  }
  // Two rounds: of ten grants of a round, one has no hand-over before it; two deaths.
  expect(ofId('hand-over')?.latency.n).toBe(18);
  expect(ofId('death')?.latency.n).toBe(4);
  expect(ofId('death-kernel')?.latency.n).toBe(4);
  expect(rpcRatio).toBe((ofId('rpc-pair')?.latency.p50Ns ?? 0) / 2 / (ofId('rpc-bare')?.latency.p50Ns ?? 0));
}

describe('npm run bench', () => {
  it('measures every variant in one run and writes the figures as JSON and as a table', async () => {
    const file = join(tempDir(), 'bench.json');
    const { code, stdout, stderr } = await command(process.execPath, [MAIN, '--quick', '--json', file]).ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });

    const report = JSON.parse(readFileSync(file, 'utf8')) as BenchReport;
    expect(report.quick).toBe(true);
    expect(report.handOffs.map(({ id }) => id)).toEqual(VARIANTS.map(({ id }) => id));
    for (const { latency, memory, transport } of report.handOffs) {
      expect(latency.n).toBeGreaterThanOrEqual(20);
      expect(latency.p50Ns).toBeGreaterThan(0);
      expect(latency.p50Ns).toBeLessThanOrEqual(latency.p99Ns);
      expect(latency.p99Ns).toBeLessThanOrEqual(latency.p999Ns);
      expect(latency.p999Ns).toBeLessThanOrEqual(latency.maxNs);
      if (transport === 'shared-memory') expect(memory?.pageKind).toMatch(/^(base|transparent|hugetlb)/);
      else expect(memory).toBeNull();
    }
    const p50Ns = (id: string): number =>
      report.handOffs.find((result) => result.id === id)?.latency.p50Ns ?? Number.NaN;
    for (const [name, ratio] of Object.entries(report.ratios)) {
      expect(ratio).toBe(p50Ns(`${name}-${FRAME_BYTES}`) / p50Ns(`${name}-${SMALL_BYTES}`));
    }
    expect(Object.keys(report.ratios)).toEqual(['poll', 'spin', 'park']);
    expect(report.controlPlane.map(({ id }) => id)).toEqual(['get-broker-info', 'create-delete-channel']);

    checkLeases(report.leases);

    const rows = stdout
      .toString()
      .split('\n')
      .filter((line) => line.startsWith('| ') && !line.startsWith('| ---'));
    expect(rows).toHaveLength(1 + VARIANTS.length + 1 + report.controlPlane.length + 1 + LEASE_FIGURES.size);
    expect(stdout.toString()).toContain(report.machine.cpuModel);
  });

  it('refuses an option it does not know, and a README made of a quick run', async () => {
    const unknown = await command(process.execPath, [MAIN, '--fast']).ended;
    expect(unknown).toMatchObject({ code: 1, stderr: expect.stringMatching(/^bench: .*--fast/) });
    const quick = await command(process.execPath, [MAIN, '--quick', '--readme']).ended;
    expect(quick).toMatchObject({ code: 1, stderr: expect.stringContaining('leave --quick out') });
  });
});

describe('the figures', () => {
  it('are samples at the nearest rank, whatever the order they came in', () => {
    const samples = Array.from({ length: 10_000 }, (_, index) => 10_000 - index);
    expect(distribution(samples)).toEqual({ n: 10_000, p50Ns: 5_000, p99Ns: 9_900, p999Ns: 9_990, maxNs: 10_000 });
    expect(distribution([5, 1, 4, 2, 3])).toEqual({ n: 5, p50Ns: 3, p99Ns: 5, p999Ns: 5, maxNs: 5 });
    expect(distribution([7])).toEqual({ n: 1, p50Ns: 7, p99Ns: 7, p999Ns: 7, maxNs: 7 });
    expect(() => distribution([])).toThrow('no samples');
  });

  it('leave out the lead-in, and are refused when the two sides disagree', () => {
    expect(latenciesNs(Float64Array.of(1, 10, 20), Float64Array.of(9, 12, 25), 1)).toEqual([2, 5]);
    expect(() => latenciesNs(Float64Array.of(1, 2), Float64Array.of(1), 0)).toThrow('2 sent, but 1 received');
    expect(() => latenciesNs(Float64Array.of(5), Float64Array.of(4), 0)).toThrow('clocks disagree');
  });
});

describe('the README', () => {
  it('gets the report between its markers and keeps the rest', () => {
    const text = 'a\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nb\n';
    expect(replaceBlock(text, 'new $&')).toBe('a\n<!-- bench:begin -->\nnew $&\n<!-- bench:end -->\nb\n');
  });

  it.each([
    ['no markers', 'a'],
    ['no end', 'a <!-- bench:begin --> b'],
    ['the end first', 'a <!-- bench:end --> b <!-- bench:begin -->'],
    ['two of them', '<!-- bench:begin --><!-- bench:end --><!-- bench:begin --><!-- bench:end -->'],
  ])('is refused with %s', (_, text) => {
    expect(() => replaceBlock(text, 'x')).toThrow('the README must have one');
  });
});
