/** What several charts are made of: words at a place, axes of powers of ten, dots with tails. Places are pixels of the whole chart. */
import { FONT_FAMILY, FONT_SIZE, type Theme } from './theme.ts';

export interface Words {
  readonly text: string;
  readonly x: number;
  /** Of the middle of the line. */
  readonly y: number;
  readonly color: string;
  readonly align?: 'left' | 'right' | 'center';
  readonly size?: number;
  readonly bold?: boolean;
}

/** An element of `graphic`. */
export const wordsAt = ({ text, x, y, color, align = 'left', size = FONT_SIZE, bold = false }: Words): object => ({
  type: 'text',
  silent: true,
  x,
  y,
  style: {
    text,
    fill: color,
    align,
    verticalAlign: 'middle',
    font: `${bold ? 'bold' : 'normal'} ${size}px ${FONT_FAMILY}`,
  },
});

export interface Decades {
  readonly min: number;
  readonly max: number;
}

/** The least range that holds all of `values`, which are above 0: it ends with powers of ten, and may begin half-way to one. */
export function decadesOf(values: readonly number[]): Decades {
  const least = Math.min(...values);
  const below = 10 ** Math.floor(Math.log10(least));
  const min = least >= 5 * below ? 5 * below : below;
  return { min, max: Math.max(10 * below, 10 ** Math.ceil(Math.log10(Math.max(...values)))) };
}

/** Where a value is on an axis of powers of ten that runs from pixel `from` to pixel `to`. */
export const placeOn = ({ min, max }: Decades, from: number, to: number, value: number): number =>
  from + ((to - from) * Math.log10(value / min)) / Math.log10(max / min);

/** Every power of ten within, or, when there are too many to be named, every other one. */
export function ticksOf({ min, max }: Decades, ticksMax: number): readonly number[] {
  const first = Math.ceil(Math.log10(min) - 1e-9);
  const count = Math.round(Math.log10(max)) - first + 1;
  const all = Array.from({ length: count }, (_, index) => 10 ** (first + index));
  return count <= ticksMax ? all : all.filter((_, index) => (count - 1 - index) % 2 === 1);
}

/** 100 ns, 1 µs, 10 ms: a power of ten. */
export function shortTime(ns: number): string {
  if (ns < 1e3) return `${Math.round(ns)} ns`;
  return ns < 1e6
    ? `${Math.round(ns / 1e3)} µs`
    : ns < 1e9
      ? `${Math.round(ns / 1e6)} ms`
      : `${Math.round(ns / 1e9)} s`;
}

/** An axis of time with named ticks and, at each, a line across the chart. */
export const timeAxis = (decades: Decades, ticksMax: number, theme: Theme): object => ({
  type: 'log',
  ...decades,
  axisLine: { show: false },
  axisTick: { show: false },
  splitLine: {
    show: true,
    showMinLine: Number.isInteger(Math.log10(decades.min)),
    lineStyle: { color: theme.grid, width: 1 },
  },
  axisLabel: {
    customValues: ticksOf(decades, ticksMax),
    formatter: shortTime,
    color: theme.quiet,
    fontSize: FONT_SIZE - 1,
  },
});

/** Moves `places`, which rise, apart until neighbours are at least `gap` apart, each as little as possible; none leaves the range. */
export function spreadOut(places: readonly number[], gap: number, from: number, to: number): readonly number[] {
  const spread: number[] = [];
  for (const place of places) spread.push(Math.max(place, (spread.at(-1) ?? from - gap) + gap));
  let below = to + gap;
  for (let index = spread.length - 1; index >= 0; index -= 1) {
    below = Math.min(spread[index] ?? below, below - gap);
    spread[index] = below;
  }
  return spread;
}

/** What ECharts gives to a series that draws itself. */
export interface CustomApi {
  value(dimension: number): number;
  coord(point: readonly number[]): readonly [number, number];
}
