/** Bars from 0: how many small frames a second pass, and how many bytes of large ones, written and read, beside what memory itself can do. */
import type { Report, Result } from 'leasehold/bench';
import { nameOf } from '../names.ts';
import { bytesText, figureText, mainFigure } from '../text.ts';
import type { Drawing } from './draw.ts';
import { wordsAt } from './marks.ts';
import { colorOf, type Theme, WIDTH } from './theme.ts';

const ROW_HEIGHT = 26;
const BAR_HEIGHT = 15;
const HEADING = 34;
const GAP = 22;
const NAMES_WIDTH = 300;
const FIGURES_WIDTH = 90;

interface Panel {
  readonly title: string;
  readonly results: readonly Result[];
}

/** Null: nothing to draw. */
export function throughput(report: Report, theme: Theme): Drawing | null {
  const panels = panelsOf(report).filter(({ results }) => results.length > 0);
  if (panels.length === 0) return null;
  const tops: number[] = [];
  let height = 0;
  for (const { results } of panels) {
    tops.push(height);
    height += HEADING + results.length * ROW_HEIGHT + GAP;
  }
  const graphic = panels.flatMap((panel, index) => panelGraphic(panel, tops[index] ?? 0, theme));
  const title = 'Throughput: small frames, and bytes written and read';
  return { height, title, description: panels.map(describe).join(' '), option: { graphic } };
}

function panelsOf({ results }: Report): readonly Panel[] {
  const shown = results.filter(({ group }) => group === 'throughput' || group === 'memcpy');
  return [
    { title: 'small frames, one subscriber that keeps up', results: shown.filter(({ unit }) => unit === 'frames/s') },
    { title: 'bytes written and read', results: shown.filter(({ unit }) => unit === 'B/s') },
  ];
}

function panelGraphic({ title, results }: Panel, top: number, theme: Theme): readonly object[] {
  const most = Math.max(...results.map(mainFigure));
  const widthMax = WIDTH - NAMES_WIDTH - FIGURES_WIDTH;
  return [
    wordsAt({ text: title, x: 2, y: top + 14, color: theme.text, bold: true }),
    ...results.flatMap((result, row) => {
      const y = top + HEADING + (row + 0.5) * ROW_HEIGHT;
      const width = (widthMax * mainFigure(result)) / most;
      const ours = result.who === 'leasehold';
      return [
        wordsAt({ text: throughputName(result), x: 2, y, color: ours ? theme.ours : theme.text, bold: ours }),
        {
          type: 'rect',
          silent: true,
          shape: { x: NAMES_WIDTH, y: y - BAR_HEIGHT / 2, width, height: BAR_HEIGHT },
          style: { fill: colorOf(theme, result.who) },
        },
        wordsAt({
          text: figureText(mainFigure(result), result.unit),
          x: NAMES_WIDTH + width + 7,
          y,
          color: theme.text,
        }),
      ];
    }),
  ];
}

/** `throughput/leasehold/persistent/64`: Leasehold, persistent, 64 B. */
export function throughputName({ id, who }: Result): string {
  const [, , ...rest] = id.split('/');
  const words = rest.map((part) => (/^[0-9]+$/.test(part) ? bytesText(Number(part)) : (MANNERS[part] ?? part)));
  return [OWN[who] ?? nameOf(who), ...words].join(', ');
}

const OWN: Readonly<Record<string, string>> = {
  'own-memory': 'one process alone',
  memory: 'one process alone, memcpy',
};

const MANNERS: Readonly<Record<string, string>> = {
  'persistent-batched': 'persistent, in batches',
  'written-and-read': 'in turn',
  'written-and-read-at-once': 'at once',
};

const describe = ({ title, results }: Panel): string =>
  `${title}: ${results.map((result) => `${throughputName(result)} ${figureText(mainFigure(result), result.unit)}`).join('; ')}.`;
