import picocolors from 'picocolors';
import { describe, expect, it } from 'vitest';
import { type DemoFigures, demoProblem, demoReport, REPORT_COLUMNS, reportRemarks, reportRows } from './demo-report.ts';
import { LatencyRecorder } from './latency.ts';
import { liveLines } from './live-view.ts';
import type { SubscriberFigures } from './messages.ts';
import { SUBSCRIBER_NAMES } from './scene.ts';

const SUBSCRIBER: SubscriberFigures = {
  frames: 600,
  lost: 0,
  skipped: 0,
  mismatched: 0,
  latencyUs: { p50: 80, p99: 400 },
  finding: 'motion 0.7',
};

function figures(subscriber: Partial<SubscriberFigures> = {}): DemoFigures {
  const one = { ...SUBSCRIBER, ...subscriber };
  return {
    camera: { frames: 600, dropped: 2, fps: 59.994 },
    subscribers: { histogram: one, motion: SUBSCRIBER, thumbnail: SUBSCRIBER },
    pages: { granted: 'base', reason: 'POOL_EXHAUSTED' },
  };
}

/** The shape that scripts depend on: names and types, nested as they are. */
function shape(value: unknown): unknown {
  if (Array.isArray(value)) return [shape(value[0])];
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shape(inner)]));
}

describe('the report of the demo', () => {
  it('keeps the names and types that scripts depend on', () => {
    expect(shape(JSON.parse(JSON.stringify(demoReport(figures()))))).toEqual({
      frames: 'number',
      fps: 'number',
      format: { fourcc: 'string', width: 'number', height: 'number' },
      publisher: { frames: 'number', dropped: 'number', fps: 'number' },
      subscribers: [
        {
          name: 'string',
          frames: 'number',
          lost: 'number',
          skipped: 'number',
          mismatched: 'number',
          latencyUs: { p50: 'number', p99: 'number' },
          finding: 'string',
        },
      ],
      pages: { granted: 'string', reason: 'string' },
      bytesShared: 'number',
      bytesCopied: 'number',
    });
  });

  it('names every subscriber', () => {
    expect(demoReport(figures()).subscribers.map(({ name }) => name)).toEqual([...SUBSCRIBER_NAMES]);
  });

  it('calls a picture of another frame, and a subscriber that saw nothing, a problem', () => {
    expect(demoProblem(demoReport(figures()))).toBeNull();
    expect(demoProblem(demoReport(figures({ mismatched: 1 })))).toMatch(/1 by histogram/);
    expect(demoProblem(demoReport(figures({ frames: 0, latencyUs: null })))).toMatch(/no frame came to histogram/);
  });

  it('fits its table: as many cells as columns in every row', () => {
    for (const row of reportRows(demoReport(figures({ latencyUs: null }))))
      expect(row).toHaveLength(REPORT_COLUMNS.length);
  });

  it('says why pages are not larger', () => {
    expect(reportRemarks(demoReport(figures())).join('\n')).toContain('POOL_EXHAUSTED');
  });
});

describe('the live view', () => {
  const live = {
    elapsedS: 3,
    seconds: 10,
    pages: { granted: 'base', reason: 'POOL_EXHAUSTED' },
    camera: figures().camera,
    subscribers: new Map(SUBSCRIBER_NAMES.map((name) => [name, SUBSCRIBER] as const)),
  };

  it('is never wider than the terminal, which would break its redrawing', () => {
    for (const columns of [20, 40, 80, 200]) {
      for (const line of liveLines(live, columns, picocolors.createColors(false))) {
        expect([...line].length).toBeLessThanOrEqual(columns);
      }
    }
  });

  it('keeps its height when figures are still missing', () => {
    const colors = picocolors.createColors(false);
    const empty = liveLines({ ...live, camera: null, subscribers: new Map() }, 80, colors);
    expect(empty).toHaveLength(liveLines(live, 80, colors).length);
  });
});

describe('latencies', () => {
  it('have no percentile before the first', () => {
    expect(new LatencyRecorder().summary()).toBeNull();
  });

  it('are microseconds, to within the three digits kept', () => {
    const recorder = new LatencyRecorder();
    for (let us = 1; us <= 1_000; us += 1) recorder.record(us * 1_000);
    const { p50, p99 } = recorder.summary() ?? { p50: 0, p99: 0 };
    expect(Math.abs(p50 - 500)).toBeLessThanOrEqual(2);
    expect(Math.abs(p99 - 990)).toBeLessThanOrEqual(2);
  });
});
