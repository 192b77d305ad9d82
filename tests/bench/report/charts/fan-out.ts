/** From publish to the last of several subscribers holding the frame: dots at p50, lines to p99, by the number of subscribers. */
import type { Report, Result } from 'leasehold/bench';
import { durationText } from '../text.ts';
import type { Drawing } from './draw.ts';
import { type CustomApi, decadesOf, timeAxis, wordsAt } from './marks.ts';
import { FONT_SIZE, type Theme, WIDTH } from './theme.ts';

const PLOT = { left: 64, top: 46, width: WIDTH - 64 - 90, height: 240 } as const;
const BOTTOM = 50;
const TICKS_MAX = 8;
/** Lines keep so far from each other, in steps of the axis of counts, or one tail would hide another. */
const ASIDE = 0.05;

interface Point {
  readonly waiting: string;
  readonly subscribers: number;
  readonly p50: number;
  readonly p99: number;
}

/** Null: nothing to draw. */
export function fanOut(report: Report, theme: Theme): Drawing | null {
  const points = report.results.flatMap(pointOf).sort((left, right) => left.subscribers - right.subscribers);
  if (points.length === 0) return null;
  const counts = [...new Set(points.map(({ subscribers }) => subscribers))];
  const waitings = [...new Set(points.map(({ waiting }) => waiting))];
  const lines = waitings.map((waiting) => points.filter((point) => point.waiting === waiting));
  const height = PLOT.top + PLOT.height + BOTTOM;
  const words = 'from publish to the last subscriber that holds the frame; dot p50, line to p99';
  return {
    height,
    title: 'Fan-out: from publish to the last of 1 to 16 subscribers',
    description: `p50: ${points.map((point) => `${point.waiting} ${point.subscribers}: ${durationText(point.p50)}`).join(', ')}.`,
    option: {
      grid: { ...PLOT },
      xAxis: countAxis(counts, theme),
      yAxis: timeAxis(decadesOf(points.flatMap(({ p50, p99 }) => [p50, p99])), TICKS_MAX, theme),
      series: lines.flatMap((line, index) => {
        const aside = (index - (lines.length - 1) / 2) * ASIDE;
        const placeOfCount = (subscribers: number): number => counts.indexOf(subscribers) + aside;
        return [tails(line, placeOfCount, theme.ours), dots(line, placeOfCount, theme.ours)];
      }),
      graphic: [
        wordsAt({ text: words, x: 2, y: 14, color: theme.text, bold: true }),
        wordsAt({
          text: 'subscribers',
          x: PLOT.left + PLOT.width / 2,
          y: height - 10,
          color: theme.quiet,
          align: 'center',
        }),
      ],
    },
  };
}

/** Of `fan-out/leasehold/WAITING/SUBSCRIBERS/BYTES`. */
function pointOf({ id, distribution }: Result): readonly Point[] {
  const [group, who, waiting, subscribers] = id.split('/');
  if (group !== 'fan-out' || who !== 'leasehold' || waiting === undefined || distribution === undefined) return [];
  return [{ waiting, subscribers: Number(subscribers), p50: distribution.p50, p99: distribution.p99 }];
}

const countAxis = (counts: readonly number[], theme: Theme): object => ({
  type: 'value',
  min: -0.5,
  max: counts.length - 0.5,
  splitLine: { show: false },
  axisLine: { lineStyle: { color: theme.grid } },
  axisTick: { show: false },
  axisLabel: {
    customValues: counts.map((_, index) => index),
    formatter: (index: number) => `${counts[index]}`,
    color: theme.quiet,
    fontSize: FONT_SIZE,
  },
});

const tails = (line: readonly Point[], placeOfCount: (subscribers: number) => number, color: string): object => ({
  type: 'custom',
  silent: true,
  data: line.map(({ subscribers, p50, p99 }) => [placeOfCount(subscribers), p50, p99]),
  encode: { x: 0, y: [1, 2] },
  renderItem: (_: unknown, api: CustomApi) => {
    const [x1, y1] = api.coord([api.value(0), api.value(1)]);
    const [x2, y2] = api.coord([api.value(0), api.value(2)]);
    return { type: 'line', shape: { x1, y1, x2, y2 }, style: { stroke: color, lineWidth: 2, opacity: 0.55 } };
  },
});

/** The first dot says how they wait. Words are below the line, which rises. */
const dots = (line: readonly Point[], placeOfCount: (subscribers: number) => number, color: string): object => ({
  type: 'line',
  silent: true,
  symbol: 'circle',
  symbolSize: 8,
  lineStyle: { color, width: 1.5, opacity: 0.4 },
  itemStyle: { color },
  data: line.map(({ waiting, subscribers, p50 }, index) => ({
    value: [placeOfCount(subscribers), p50],
    label: {
      show: true,
      position: 'right',
      verticalAlign: 'top',
      distance: 8,
      color,
      fontSize: FONT_SIZE,
      formatter: index === 0 ? `${waiting}: ${durationText(p50)}` : durationText(p50),
    },
  })),
});
