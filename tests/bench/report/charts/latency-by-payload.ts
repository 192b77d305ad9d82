/** A line for each way of handing over, from the smallest payload to the largest: flat where nothing is copied. Each is named at its end. */
import type { Report } from 'leasehold/bench';
import { find } from '../lookup.ts';
import { handOffId, isLimit, nameOf, type Way, waysOf } from '../names.ts';
import { bytesText, durationText } from '../text.ts';
import type { Drawing } from './draw.ts';
import { decadesOf, placeOn, spreadOut, timeAxis, wordsAt } from './marks.ts';
import { colorOf, FONT_SIZE, type Theme, WIDTH } from './theme.ts';

const PAYLOADS = [8, 4_096, 1_048_576, 8_294_400, 33_177_600] as const;
const PLOT = { left: 64, top: 40, width: WIDTH - 64 - 304, height: 340 } as const;
const BOTTOM = 50;
const NAMES_GAP = 17;
const TICKS_MAX = 8;

interface Line {
  readonly way: Way;
  /** Payload in bytes, p50 in ns. */
  readonly points: readonly (readonly [number, number])[];
}

export function latencyByPayload(report: Report, theme: Theme): Drawing {
  const lines = linesOf(report);
  const decades = decadesOf(lines.flatMap(({ points }) => points.map(([, p50]) => p50)));
  const height = PLOT.top + PLOT.height + BOTTOM;
  return {
    height,
    title: 'One-way latency by payload, from 8 B to 33 MB',
    description: `p50 from ${bytesText(PAYLOADS[0])} to ${bytesText(PAYLOADS[4])}: ${lines.map(describe).join('; ')}.`,
    option: {
      grid: { ...PLOT },
      xAxis: payloadAxis(theme),
      yAxis: timeAxis(decades, TICKS_MAX, theme),
      series: lines.map((line) => series(line, theme)),
      graphic: [
        wordsAt({ text: 'one-way latency, p50', x: 2, y: 14, color: theme.text, bold: true }),
        wordsAt({
          text: 'payload',
          x: PLOT.left + PLOT.width / 2,
          y: height - 10,
          color: theme.quiet,
          align: 'center',
        }),
        wordsAt({
          text: `p50 of ${bytesText(PAYLOADS[4])}`,
          x: WIDTH - 2,
          y: 14,
          color: theme.quiet,
          size: FONT_SIZE - 1,
          align: 'right',
        }),
        ...lineNames(lines, (ns) => placeOn(decades, PLOT.top + PLOT.height, PLOT.top, ns), theme),
      ],
    },
  };
}

/** The slowest with the largest payload first. */
function linesOf(report: Report): readonly Line[] {
  const lines = waysOf(report)
    .filter((way) => !isLimit(way))
    .map((way) => ({ way, points: pointsOf(report, way) }))
    .filter(({ points }) => points.length === PAYLOADS.length);
  return lines.sort((left, right) => endOf(right) - endOf(left));
}

const pointsOf = (report: Report, way: Way): Line['points'] =>
  PAYLOADS.flatMap((payloadBytes) => {
    const distribution = find(report, handOffId(way, payloadBytes))?.distribution;
    return distribution === undefined ? [] : [[payloadBytes, distribution.p50] as const];
  });

const endOf = ({ points }: Line): number => points.at(-1)?.[1] ?? Number.NaN;

function lineNames(lines: readonly Line[], placeOfNs: (ns: number) => number, theme: Theme): readonly object[] {
  const wanted = lines.map((line) => placeOfNs(endOf(line)));
  const places = spreadOut(wanted, NAMES_GAP, PLOT.top, PLOT.top + PLOT.height);
  return lines.flatMap((line, index) => {
    const { way } = line;
    const color = colorOf(theme, way.who);
    const y = places[index] ?? 0;
    const right = PLOT.left + PLOT.width;
    const words = { y, color: color === theme.peer ? theme.text : color, bold: way.who === 'leasehold' };
    return [
      {
        type: 'line',
        silent: true,
        shape: { x1: right + 6, y1: wanted[index], x2: right + 20, y2: y },
        style: { stroke: color, lineWidth: 1, opacity: 0.6 },
      },
      wordsAt({ ...words, text: wayText(way), x: right + 25 }),
      wordsAt({ ...words, text: durationText(endOf(line)), x: WIDTH - 2, align: 'right' }),
    ];
  });
}

function wayText({ who, waiting, views }: Way): string {
  const details = [views, waiting === 'event-loop' ? null : waiting].filter((detail) => detail !== null);
  return [nameOf(who), ...details].join(', ');
}

const describe = (line: Line): string =>
  `${wayText(line.way)} ${durationText(line.points[0]?.[1] ?? 0)} to ${durationText(endOf(line))}`;

const payloadAxis = (theme: Theme): object => ({
  type: 'log',
  min: 4,
  max: PAYLOADS[4],
  axisLine: { show: false },
  axisTick: { show: false },
  splitLine: { show: false },
  axisLabel: {
    customValues: PAYLOADS,
    formatter: bytesText,
    color: theme.quiet,
    // The last two are close to each other.
    fontSize: FONT_SIZE - 2,
  },
});

const series = ({ way, points }: Line, theme: Theme): object => {
  const color = colorOf(theme, way.who);
  const ours = way.who === 'leasehold';
  return {
    type: 'line',
    silent: true,
    symbol: 'circle',
    symbolSize: ours ? 7 : 5,
    data: points,
    z: ours ? 3 : 2,
    lineStyle: { color, width: ours ? 2.5 : 1.5 },
    itemStyle: { color },
  };
};
