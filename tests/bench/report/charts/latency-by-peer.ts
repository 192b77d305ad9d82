/** A row for each way of handing over, a panel for each payload: a dot at p50, a line from there to p99, and p50 in figures. */
import type { Report } from 'leasehold/bench';
import { find } from '../lookup.ts';
import { handOffId, limitText, nameOf, payloadFor, spins, type Way, waysOf } from '../names.ts';
import { bytesText, durationText } from '../text.ts';
import type { Drawing } from './draw.ts';
import { type CustomApi, decadesOf, timeAxis, wordsAt } from './marks.ts';
import { colorOf, FONT_SIZE, type Theme, WIDTH } from './theme.ts';

const PAYLOADS = [4_096, 8_294_400] as const;
const ROW_HEIGHT = 25;
const TOP = 62;
const BOTTOM = 34;
const NAMES_WIDTH = 228;
const FIGURES_WIDTH = 66;
const GAP = 26;
const TICKS_MAX = 5;

interface Row {
  /** Null: a heading. */
  readonly way: Way | null;
  readonly label: string;
}

interface Mark {
  readonly row: number;
  readonly p50: number;
  readonly p99: number;
  readonly color: string;
}

export function latencyByPeer(report: Report, theme: Theme): Drawing {
  const rows = rowsOf(report);
  const panels = PAYLOADS.map((payloadBytes) => marksOf(report, rows, payloadBytes, theme));
  const decades = decadesOf(panels.flat().flatMap(({ p50, p99 }) => [p50, p99]));
  const height = TOP + rows.length * ROW_HEIGHT + BOTTOM;
  return {
    height,
    title: 'One-way latency by who hands over, for 4 KiB and for 8.3 MB',
    description: describe(rows, panels),
    option: {
      grid: panels.map((_, panel) => ({ ...placeOf(panel), top: TOP, height: rows.length * ROW_HEIGHT })),
      xAxis: panels.map((_, gridIndex) => ({ gridIndex, ...timeAxis(decades, TICKS_MAX, theme) })),
      yAxis: panels.map((_, panel) => rowAxis(panel, rows, theme)),
      series: panels.flatMap((marks, panel) => [whiskers(marks, panel), dots(marks, panel)]),
      graphic: panels.flatMap((marks, panel) => [...headings(panel, theme), ...figures(marks, panel, theme)]),
    },
  };
}

/** Those that spin, then those that sleep; in each part the quickest first. */
function rowsOf(report: Report): readonly Row[] {
  const ways = waysOf(report).filter((way) => quickness(report, way) !== Number.POSITIVE_INFINITY);
  const sorted = ways.sort((left, right) => quickness(report, left) - quickness(report, right));
  return [true, false].flatMap((spinning): readonly Row[] => {
    const part = sorted.filter((way) => spins(way) === spinning);
    if (part.length === 0) return [];
    const title = spinning ? 'both sides spin' : 'both sides sleep, or may';
    return [{ way: null, label: title }, ...part.map((way) => ({ way, label: rowLabel(way, spinning) }))];
  });
}

function quickness(report: Report, way: Way): number {
  const found = PAYLOADS.map((payload) => find(report, handOffId(way, payloadFor(way, payload)))?.distribution);
  return found.find((distribution) => distribution !== undefined)?.p50 ?? Number.POSITIVE_INFINITY;
}

function rowLabel(way: Way, spinning: boolean): string {
  const { who, waiting, views } = way;
  const usual = spinning ? 'spin' : 'event-loop';
  const details = [limitText(way), views, waiting === usual ? null : waiting].filter((detail) => detail !== null);
  return details.length === 0 ? nameOf(who) : `${nameOf(who)}, ${details.join(', ')}`;
}

function marksOf(report: Report, rows: readonly Row[], payloadBytes: number, theme: Theme): readonly Mark[] {
  return rows.flatMap(({ way }, row) => {
    if (way === null) return [];
    const distribution = find(report, handOffId(way, payloadFor(way, payloadBytes)))?.distribution;
    if (distribution === undefined) return [];
    const { p50, p99 } = distribution;
    return [{ row, p50, p99, color: colorOf(theme, way.who) }];
  });
}

const panelWidth = (WIDTH - NAMES_WIDTH - PAYLOADS.length * FIGURES_WIDTH - GAP) / PAYLOADS.length;

const placeOf = (panel: number): { left: number; width: number } => ({
  left: NAMES_WIDTH + panel * (panelWidth + FIGURES_WIDTH + GAP),
  width: panelWidth,
});

const rowAxis = (panel: number, rows: readonly Row[], theme: Theme): object => ({
  gridIndex: panel,
  type: 'category',
  inverse: true,
  data: rows.map((_, row) => row),
  axisLine: { show: false },
  axisTick: { show: false },
  splitLine: { show: false },
  axisLabel: {
    show: panel === 0,
    interval: 0,
    formatter: (index: string) => rowText(rows[Number(index)]),
    align: 'left',
    margin: NAMES_WIDTH - 2,
    rich: {
      heading: { color: theme.quiet, fontSize: FONT_SIZE, fontStyle: 'italic' },
      ours: { color: theme.ours, fontSize: FONT_SIZE, fontWeight: 'bold' },
      other: { color: theme.text, fontSize: FONT_SIZE },
    },
  },
});

function rowText(row: Row | undefined): string {
  if (row === undefined) return '';
  const style = row.way === null ? 'heading' : row.way.who === 'leasehold' ? 'ours' : 'other';
  return `{${style}|${row.label}}`;
}

const whiskers = (marks: readonly Mark[], panel: number): object => ({
  type: 'custom',
  silent: true,
  xAxisIndex: panel,
  yAxisIndex: panel,
  data: marks.map(({ row, p50, p99 }) => [p50, p99, row]),
  renderItem: ({ dataIndex }: { readonly dataIndex: number }, api: CustomApi) => {
    const [x1, y1] = api.coord([api.value(0), api.value(2)]);
    const [x2, y2] = api.coord([api.value(1), api.value(2)]);
    const stroke = marks[dataIndex]?.color;
    return { type: 'line', shape: { x1, y1, x2, y2 }, style: { stroke, lineWidth: 2, opacity: 0.55 } };
  },
});

const dots = (marks: readonly Mark[], panel: number): object => ({
  type: 'scatter',
  silent: true,
  xAxisIndex: panel,
  yAxisIndex: panel,
  symbolSize: 9,
  data: marks.map(({ row, p50, color }) => ({ value: [p50, row], itemStyle: { color, opacity: 1 } })),
});

const headings = (panel: number, theme: Theme): readonly object[] => {
  const { left } = placeOf(panel);
  const small = { y: 35, color: theme.quiet, size: FONT_SIZE - 1 };
  return [
    wordsAt({ text: `${bytesText(PAYLOADS[panel] ?? 0)} payload`, x: left, y: 14, color: theme.text, bold: true }),
    wordsAt({ ...small, text: 'dot p50, line to p99', x: left }),
    wordsAt({ ...small, text: 'p50', x: figuresRight(panel), align: 'right' }),
  ];
};

const figuresRight = (panel: number): number => placeOf(panel).left + panelWidth + FIGURES_WIDTH - 4;

const figures = (marks: readonly Mark[], panel: number, theme: Theme): readonly object[] =>
  marks.map(({ row, p50, color }) =>
    wordsAt({
      text: durationText(p50),
      x: figuresRight(panel),
      y: TOP + (row + 0.5) * ROW_HEIGHT,
      color: color === theme.peer ? theme.text : color,
      align: 'right',
    }),
  );

function describe(rows: readonly Row[], panels: readonly (readonly Mark[])[]): string {
  const parts = panels.map((marks, panel) => {
    const list = marks.map(({ row, p50 }) => `${rows[row]?.label} ${durationText(p50)}`);
    return `${bytesText(PAYLOADS[panel] ?? 0)}: ${list.join(', ')}`;
  });
  return `p50 of ${parts.join('; of ')}.`;
}
