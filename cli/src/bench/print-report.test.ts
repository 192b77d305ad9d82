import { describe, expect, it } from 'vitest';
import { fakeContext } from '../program/testing/fake-context.ts';
import { figure, printReport } from './print-report.ts';
import type { Report } from './report-model.ts';

describe('a figure', () => {
  it.each([
    [84.96, 'ns', '85.0 ns'],
    [336, 'ns', '336 ns'],
    [26_940, 'ns', '26.9 µs'],
    [3_470_000, 'ns', '3.47 ms'],
    [1.5e9, 'ns', '1.50 s'],
    [2_431_000, 'frames/s', '2.43 Mframes/s'],
    [14.1e9, 'B/s', '14.1 GB/s'],
    [950, 'calls/s', '950 calls/s'],
    [16_384, 'B', '16 KiB'],
    [0.06, '%', '0.06 %'],
  ] as const)('of %f %s reads %s', (value, unit, text) => {
    expect(figure(value, unit)).toBe(text);
  });
});

describe('a report', () => {
  it('is a table for each group that has results, and the machine', () => {
    const context = fakeContext();
    const report: Report = {
      format: 1,
      machine: { cpuModel: 'Some CPU', cpuCount: 2, memoryBytes: 1, kernel: '6.18', node: 'v24', cores: null },
      startedAt: '2026-01-01T00:00:00.000Z',
      tookSeconds: 3,
      quick: true,
      rounds: 1,
      results: [
        {
          id: 'hand-off/net/event-loop/8',
          group: 'hand-off',
          who: 'net',
          settings: {},
          unit: 'ns',
          distribution: { n: 1_000, p50: 1, p99: 2, p999: 3, max: 4 },
        },
        { id: 'idle/broker/cpu', group: 'idle', who: 'broker', settings: {}, unit: '%', value: 0, note: 'of a core' },
      ],
    };
    printReport(context, report);
    const lines = context.printed.out.split('\n');
    expect(lines.filter((line) => ['hand-off', 'throughput', 'idle'].includes(line))).toEqual(['hand-off', 'idle']);
    expect(lines.find((line) => line.startsWith('net/'))?.split(/ {2,}/)).toEqual([
      'net/event-loop/8',
      '1.00 ns',
      '2.00 ns',
      '3.00 ns',
      '4.00 ns',
      '1,000',
    ]);
    expect(lines.find((line) => line.startsWith('broker/'))?.split(/ {2,}/)).toEqual([
      'broker/cpu',
      '0.00 %',
      'of a core',
    ]);
    expect(context.printed.out).toContain('Some CPU, 2 cores (not pinned)');
    expect(context.printed.out).toContain('its figures mean little');
  });
});
