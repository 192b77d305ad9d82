import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../program/errors.ts';
import { parseReport, readReport } from './read-report.ts';
import { sampleReport, sampleResult } from './testing/sample-report.ts';

const refusal = (report: unknown): string => {
  try {
    parseReport(JSON.stringify(report), 'run.json');
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return error instanceof Error ? error.message : '';
  }
  return 'nothing';
};

describe('readReport', () => {
  it('gives back what was written', () => {
    const directory = mkdtempSync(join(tmpdir(), 'lh-read-report-'));
    try {
      const path = join(directory, 'run.json');
      const report = sampleReport([sampleResult('idle/broker/cpu', { unit: '%', value: 0 })]);
      writeFileSync(path, JSON.stringify(report));
      expect(readReport(path)).toEqual(report);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('refuses a file that is not there, as wrong usage', () => {
    expect(() => readReport('/nowhere/run.json')).toThrow(UsageError);
    expect(() => readReport('/nowhere/run.json')).toThrow('/nowhere/run.json cannot be read: ENOENT');
  });
});

describe('parseReport', () => {
  it('refuses what is not JSON', () => {
    expect(() => parseReport('{', 'run.json')).toThrow(UsageError);
  });

  it('names the format that it refuses', () => {
    expect(refusal({ ...sampleReport([]), format: 2 })).toContain('run.json has format 2, not 1');
    expect(refusal({})).toContain('run.json has format none, not 1');
    expect(refusal([])).toContain('format none');
  });

  it('names the field that is wrong, and its value', () => {
    const good = sampleResult('memcpy/8294400', { unit: 'B/s', value: 1 });
    const withResult = (result: object): string => refusal(sampleReport([{ ...good, ...result }]));
    expect(refusal({ ...sampleReport([]), rounds: 'ten' })).toContain('it has "ten" as "rounds"');
    expect(refusal({ ...sampleReport([]), machine: { cpuModel: 'x' } })).toContain('its machine has nothing as');
    expect(refusal({ ...sampleReport([]), results: [7] })).toContain('result 0 is no object');
    expect(withResult({ group: 'speed' })).toContain('result 0 has "speed" as "group"');
    expect(withResult({ value: null })).toContain('"memcpy/8294400", has neither a value nor a distribution');
    expect(withResult({ distribution: { n: 1, p50: 1, p99: 1, p999: 1 } })).toContain('has nothing as "max"');
    expect(refusal(sampleReport([good, good]))).toContain('two results are called "memcpy/8294400"');
  });
});
