/**
 * Everything that a run writes into the repository: the report itself, the charts, and the blocks of README.md and docs/PERFORMANCE.md.
 * Invariant: all of it follows from the report and from what people wrote around the blocks, so that it can be made anew, and checked.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { GROUPS, type Report } from 'leasehold/bench';
import { replaceBlocks, replaceFigures } from './blocks.ts';
import { type Drawing, drawSvg } from './charts/draw.ts';
import { fanOut } from './charts/fan-out.ts';
import { latencyByPayload } from './charts/latency-by-payload.ts';
import { latencyByPeer } from './charts/latency-by-peer.ts';
import { THEME_NAMES, THEMES, type Theme } from './charts/theme.ts';
import { throughput } from './charts/throughput.ts';
import { figureNamed } from './figures.ts';
import { goalsTable } from './goals.ts';
import { allHandOffs, groupTable, handOffSettings, machineLine, shortHandOffs } from './tables.ts';

const ROOT = new URL('../../../', import.meta.url);
const README = 'README.md';
const PAGE = 'docs/PERFORMANCE.md';
const FOLDER = 'docs/performance';
/** Whose tables, charts and ratios are in the documents. */
export const SAVED_RUN = `${FOLDER}/bench.json`;

const CHARTS: Readonly<Record<string, (report: Report, theme: Theme) => Drawing | null>> = {
  'latency-by-peer': latencyByPeer,
  'latency-by-payload': latencyByPayload,
  throughput,
  'fan-out': fanOut,
};

/** Text by path, from the root of the repository. */
export type Documents = ReadonlyMap<string, string>;

/** @param read gives the present text of a hand-written document. @throws Error when a block or a figure has no place, or a place has none. */
export function renderDocuments(report: Report, read: (path: string) => string): Documents {
  const documents = new Map<string, string>([[SAVED_RUN, `${JSON.stringify(report, null, 2)}\n`]]);
  const pictures: Record<string, string> = {};
  for (const [name, chart] of Object.entries(CHARTS)) {
    for (const theme of THEME_NAMES) {
      const drawing = chart(report, THEMES[theme]);
      if (drawing === null) throw new Error(`there is nothing to draw in ${name}: run all groups`);
      documents.set(`${FOLDER}/${name}.${theme}.svg`, drawSvg(drawing, THEMES[theme]));
      pictures[name] = drawing.title;
    }
  }
  documents.set(README, replaceBlocks(read(README), README, 'bench', { bench: readmeBlock(report, pictures) }));
  const page = replaceBlocks(read(PAGE), PAGE, 'bench', pageBlocks(report, pictures));
  documents.set(
    PAGE,
    replaceFigures(page, PAGE, (what) => figureNamed(report, what)),
  );
  return documents;
}

function readmeBlock(report: Report, titles: Readonly<Record<string, string>>): string {
  return [
    picture('latency-by-peer', titles, FOLDER),
    '',
    machineLine(report),
    '',
    ...shortHandOffs(report),
    '',
    ...goalsTable(report),
  ].join('\n');
}

function pageBlocks(report: Report, titles: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const blocks: Record<string, readonly string[]> = {
    'bench-machine': [machineLine(report)],
    'bench-goals': goalsTable(report),
    'bench-settings': handOffSettings(report),
    'bench-hand-off': allHandOffs(report),
  };
  for (const group of GROUPS) blocks[`bench-${group}`] ??= groupTable(report, group);
  for (const name of Object.keys(CHARTS)) blocks[`bench-chart-${name}`] = [picture(name, titles, 'performance')];
  return Object.fromEntries(Object.entries(blocks).map(([name, lines]) => [name, lines.join('\n')]));
}

const picture = (name: string, titles: Readonly<Record<string, string>>, folder: string): string =>
  [
    '<picture>',
    `  <source media="(prefers-color-scheme: dark)" srcset="${folder}/${name}.dark.svg">`,
    `  <img alt="${titles[name]}" src="${folder}/${name}.light.svg">`,
    '</picture>',
  ].join('\n');

const readDocument = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');

/** @throws Error as `renderDocuments`; ENOENT. */
export function writeDocuments(report: Report): void {
  if (report.quick) throw new Error('the documents want the figures of a whole run: leave --quick out');
  const documents = renderDocuments(report, readDocument);
  mkdirSync(new URL(FOLDER, ROOT), { recursive: true });
  for (const [path, text] of documents) writeFileSync(new URL(path, ROOT), text);
}

/**
 * @param saved null: no run is saved, and the page must be as empty as before the first one
 * @returns the documents that are not what the saved run gives, or are not there
 * @throws Error as `renderDocuments`
 */
export function staleDocuments(saved: Report | null, read = readDocument): readonly string[] {
  if (saved === null) return /<!-- (bench-[\w-]+):begin -->\n(?!<!-- \1:end -->)/.test(read(PAGE)) ? [PAGE] : [];
  const isCurrent = ([path, text]: readonly [string, string]): boolean => {
    try {
      return read(path) === text;
    } catch {
      return false;
    }
  };
  return [...renderDocuments(saved, read)].filter((entry) => !isCurrent(entry)).map(([path]) => path);
}
