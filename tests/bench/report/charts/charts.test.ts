import { describe, expect, it } from 'vitest';
import { HAND_OFFS, SAMPLE_RUN } from '../testing/sample-run.ts';
import { drawSvg } from './draw.ts';
import { fanOut } from './fan-out.ts';
import { latencyByPayload } from './latency-by-payload.ts';
import { latencyByPeer } from './latency-by-peer.ts';
import { decadesOf, placeOn, shortTime, spreadOut, ticksOf } from './marks.ts';
import { THEMES } from './theme.ts';
import { throughput } from './throughput.ts';

const CHARTS = { latencyByPeer, latencyByPayload, throughput, fanOut };

function svgOf(name: keyof typeof CHARTS, theme: keyof typeof THEMES = 'light'): string {
  const drawing = CHARTS[name](SAMPLE_RUN, THEMES[theme]);
  if (drawing === null) throw new Error(`nothing to draw in ${name}`);
  return drawSvg(drawing, THEMES[theme]);
}

const colorless = (svg: string): string => svg.replaceAll(/#[0-9a-f]{6}/g, '#');

describe.each(Object.keys(CHARTS) as (keyof typeof CHARTS)[])('the chart %s', (name) => {
  it('is the same bytes each time, whatever was drawn before', () => {
    const first = svgOf(name);
    svgOf('fanOut');
    expect(svgOf(name)).toBe(first);
  });

  it('differs between light and dark in colours alone', () => {
    expect(svgOf(name, 'dark')).not.toBe(svgOf(name));
    expect(colorless(svgOf(name, 'dark'))).toBe(colorless(svgOf(name)));
  });

  it('has a title, a description with figures, and nothing that reacts to a mouse', () => {
    const svg = svgOf(name);
    expect(svg).toMatch(/<title>[^<]+<\/title>\n<desc>[^<]*[0-9][^<]*<\/desc>/);
    expect(svg).not.toMatch(/class=|<style|ecmeta|NaN|undefined/);
  });
});

describe('latency by peer', () => {
  it('has a figure for each payload of each way, and calls one word one word', () => {
    const svg = svgOf('latencyByPeer');
    const ways = new Set(HAND_OFFS.map(({ id }) => id.replace(/\/[0-9]+$/, '')));
    expect([...svg.matchAll(/text-anchor="end"[^>]*>[0-9.]+ (?:ns|µs|ms)</g)]).toHaveLength(2 * ways.size);
    expect(svg).toContain('>bare Atomics, one word<');
  });
});

describe('a chart without figures', () => {
  it('is null, not empty', () => {
    const nothing = { ...SAMPLE_RUN, results: HAND_OFFS };
    expect(fanOut(nothing, THEMES.light)).toBeNull();
    expect(throughput(nothing, THEMES.light)).toBeNull();
  });
});

describe('axes of powers of ten', () => {
  it('hold all values, and begin half-way where that is closer', () => {
    expect(decadesOf([120, 9_000])).toEqual({ min: 100, max: 10_000 });
    expect(decadesOf([85, 900])).toEqual({ min: 50, max: 1_000 });
    expect(decadesOf([100])).toEqual({ min: 100, max: 1_000 });
  });

  it('put a value where it belongs', () => {
    expect(placeOn({ min: 10, max: 1_000 }, 0, 200, 100)).toBeCloseTo(100);
    expect(placeOn({ min: 10, max: 1_000 }, 300, 100, 10)).toBeCloseTo(300);
  });

  it('name powers of ten only, and every other one where all are too many', () => {
    expect(ticksOf({ min: 50, max: 1e4 }, 5)).toEqual([1e2, 1e3, 1e4]);
    expect(ticksOf({ min: 100, max: 1e8 }, 4)).toEqual([1e3, 1e5, 1e7]);
    expect([1e2, 1e4, 1e7, 1e9].map(shortTime)).toEqual(['100 ns', '10 µs', '10 ms', '1 s']);
  });
});

describe('names beside each other', () => {
  it('are moved apart, keep their order, and stay inside', () => {
    const crowds = [
      [10, 11, 12, 90],
      [0, 0, 0, 0],
      [99, 99, 100],
      [5, 30, 55],
    ];
    for (const crowd of crowds) {
      const places = spreadOut(crowd, 10, 0, 100);
      expect(places[0]).toBeGreaterThanOrEqual(0);
      expect(places.at(-1)).toBeLessThanOrEqual(100);
      for (const [index, place] of places.entries()) {
        if (index > 0) expect(place - (places[index - 1] ?? 0)).toBeGreaterThanOrEqual(10);
      }
    }
    expect(spreadOut([5, 30, 55], 10, 0, 100)).toEqual([5, 30, 55]);
  });
});
