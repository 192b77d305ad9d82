import { describe, expect, it } from 'vitest';
import { fakeContext } from '../program/testing/fake-context.ts';
import { compareReports, printComparison } from './compare.ts';
import type { Result } from './report-model.ts';
import { sampleDistribution, sampleReport, sampleResult } from './testing/sample-report.ts';

const latency = (id: string, p50: number, p99?: number): Result =>
  sampleResult(id, { unit: 'ns', distribution: sampleDistribution(p50, p99) });
const rate = (id: string, value: number): Result => sampleResult(id, { unit: 'frames/s', value });

const compare = (before: readonly Result[], now: readonly Result[]) =>
  compareReports(sampleReport(before), sampleReport(now));

describe('compareReports', () => {
  it('puts first what moved most, in whichever direction', () => {
    const { changes } = compare(
      [latency('hand-off/a/8', 100), latency('hand-off/b/8', 100), latency('hand-off/c/8', 100)],
      [latency('hand-off/a/8', 104), latency('hand-off/b/8', 20), latency('hand-off/c/8', 300)],
    );
    expect(changes.map(({ id, ratio }) => [id, ratio])).toEqual([
      ['hand-off/b/8', 0.2],
      ['hand-off/c/8', 3],
      ['hand-off/a/8', 1.04],
    ]);
  });

  it('knows that less time and more frames are better, and calls a small move neither', () => {
    const { changes } = compare(
      [
        latency('hand-off/a/8', 100),
        latency('hand-off/b/8', 100),
        rate('throughput/a/8', 4),
        rate('throughput/b/8', 4),
      ],
      [latency('hand-off/a/8', 50), latency('hand-off/b/8', 105), rate('throughput/a/8', 2), rate('throughput/b/8', 8)],
    );
    expect(Object.fromEntries(changes.map(({ id, verdict }) => [id, verdict]))).toEqual({
      'hand-off/a/8': 'better',
      'hand-off/b/8': null,
      'throughput/a/8': 'worse',
      'throughput/b/8': 'better',
    });
  });

  it('compares tails by themselves, where there are any', () => {
    const { changes } = compare(
      [latency('hand-off/a/8', 100, 200), rate('throughput/a/8', 4)],
      [latency('hand-off/a/8', 100, 800), rate('throughput/a/8', 4)],
    );
    expect(changes.map(({ p99Ratio }) => p99Ratio)).toEqual([4, null]);
  });

  it('divides nothing by nothing: 0 and 0 are the same', () => {
    const idle = sampleResult('idle/broker/cpu', { unit: '%', value: 0 });
    expect(compare([idle], [idle]).changes).toMatchObject([{ ratio: 1, verdict: null }]);
    expect(compare([idle], [{ ...idle, value: 2 }]).changes).toMatchObject([
      { ratio: Number.POSITIVE_INFINITY, verdict: 'worse' },
    ]);
  });

  it('names what one run has alone, and does not divide figures of different units', () => {
    const changed = { ...rate('throughput/a/8', 4), unit: 'B/s' } as const;
    const comparison = compare([rate('throughput/a/8', 4), rate('throughput/b/8', 4)], [changed]);
    expect(comparison).toMatchObject({
      changes: [],
      onlyBefore: ['throughput/a/8', 'throughput/b/8'],
      onlyNow: ['throughput/a/8'],
    });
  });

  it('warns of quick runs and of other machines', () => {
    const here = sampleReport([]);
    const there = sampleReport([], { quick: true, machine: { ...here.machine, node: 'v26.10.0' } });
    expect(compareReports(here, here).cautions).toEqual([]);
    expect(compareReports(there, here).cautions).toEqual([
      'the earlier run was a quick one: its figures mean little',
      'node was v26.10.0 and is v24.21.0: what moved may be the machine',
    ]);
  });
});

describe('printComparison', () => {
  it('prints figures with their units, ratios, verdicts, and what is missing', () => {
    const context = fakeContext();
    const comparison = compare(
      [latency('hand-off/a/8', 200), rate('throughput/a/8', 4e6)],
      [latency('hand-off/a/8', 100), rate('throughput/b/8', 4e6)],
    );
    printComparison(context, comparison, 'run.json');
    expect(context.printed.out).toBe(
      [
        'compared with run.json',
        'WHAT          BEFORE     NOW  NOW/BEFORE  P99 NOW/BEFORE',
        'hand-off/a/8  200 ns  100 ns        0.50            0.50  better',
        'only in the earlier run:',
        '  throughput/a/8',
        'only in the present run:',
        '  throughput/b/8',
        '',
      ].join('\n'),
    );
  });
});
