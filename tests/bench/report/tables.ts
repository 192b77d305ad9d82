/** A run as Markdown tables. Each function gives the lines of one block. */
import type { Group, Report, Result } from 'leasehold/bench';
import { figureOf, find, ratioOf } from './lookup.ts';
import { handOffId, limitText, partsOf, payloadFor, spins, type Way, waitingText, wayName, waysOf } from './names.ts';
import { bytesText, countText, figureText, mainFigure, microseconds, threeDigits } from './text.ts';

type Lines = readonly string[];

/** The first `texts` columns hold words, the others figures. */
export function table(head: readonly string[], texts: number, rows: readonly (readonly string[])[]): Lines {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const rule = head.map((_, column) => (column < texts ? '---' : '--:'));
  return [line(head), line(rule), ...rows.map(line)];
}

const BARE = 'hand-off/atomics/spin/8';

const againstAtomics = (report: Report, id: string): string => {
  const ratio = ratioOf(report, id, BARE);
  return ratio === null ? '' : `${threeDigits(ratio)} ×`;
};

const SHORT_PAYLOADS = [4_096, 8_294_400] as const;

/** A row for each way, those that spin first, in each part the quickest first: what fits on a first page. */
export function shortHandOffs(report: Report): Lines {
  const ways = waysOf(report).filter((way) => Number.isFinite(quickness(report, way)));
  const sorted = ways.sort((left, right) => quickness(report, left) - quickness(report, right));
  const rows = [...sorted.filter(spins), ...sorted.filter((way) => !spins(way))].map((way) => [
    shortName(way),
    waitingText(way.waiting),
    ...SHORT_PAYLOADS.flatMap((payloadBytes) => shortCells(report, way, payloadBytes)),
  ]);
  const head = SHORT_PAYLOADS.flatMap((bytes) => [`${bytesText(bytes)}: p50`, 'p99', '× Atomics']);
  return table(['one way, µs', 'waiting', ...head], 2, rows);
}

function shortName(way: Way): string {
  const moves = limitText(way);
  return moves === null ? wayName(way) : `${wayName(way)} (${moves})`;
}

function quickness(report: Report, way: Way): number {
  return figureOf(report, handOffId(way, payloadFor(way, SHORT_PAYLOADS[0]))) ?? Number.POSITIVE_INFINITY;
}

function shortCells(report: Report, way: Way, payloadBytes: number): readonly string[] {
  const id = handOffId(way, payloadFor(way, payloadBytes));
  const distribution = find(report, id)?.distribution;
  if (distribution === undefined) return ['', '', ''];
  return [microseconds(distribution.p50), microseconds(distribution.p99), againstAtomics(report, id)];
}

export function allHandOffs(report: Report): Lines {
  const rows = ofGroup(report, 'hand-off').flatMap(({ id, distribution }) => {
    const parts = partsOf(id);
    if (parts === null || distribution === undefined) return [];
    const { p50, p99, p999, max, n } = distribution;
    const figures = [p50, p99, p999, max].map(microseconds);
    return [
      [
        wayName(parts),
        waitingText(parts.waiting),
        bytesText(parts.payloadBytes),
        ...figures,
        countText(n),
        againstAtomics(report, id),
      ],
    ];
  });
  const head = ['one way, µs', 'waiting', 'payload', 'p50', 'p99', 'p99.9', 'max', 'n', 'p50 × Atomics'];
  return table(head, 3, rows);
}

/** What decided each figure: one row for each way. */
export function handOffSettings(report: Report): Lines {
  const rows = waysOf(report).map((way) => {
    const result = resultsOf(report, way)[0];
    return [wayName(way), waitingText(way.waiting), result === undefined ? '' : settingsText(result, VARIED)];
  });
  return table(['who', 'waiting', 'settings'], 3, rows);
}

/** Columns of their own, or of the id. */
const VARIED: readonly string[] = ['waiting', 'payloadBytes', 'wait', 'views'];

const resultsOf = ({ results }: Report, way: Way): readonly Result[] =>
  results.filter(({ id }) => {
    const parts = partsOf(id);
    return parts !== null && handOffId(parts, 0) === handOffId(way, 0);
  });

const settingsText = ({ settings }: Result, without: readonly string[] = []): string =>
  Object.entries(settings)
    .filter(([name]) => !without.includes(name))
    .map(([name, value]) =>
      name === 'settings' ? `${value}` : `${spaced(name)}: ${typeof value === 'number' ? countText(value) : value}`,
    )
    .join('; ');

/** `inFlight`: in flight. */
const spaced = (name: string): string => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

const ofGroup = ({ results }: Report, group: Group): readonly Result[] =>
  results.filter((result) => result.group === group);

/** A row for each figure of a group, by its id; what is a distribution comes first. What is set alike for all is said once. */
export function groupTable(report: Report, group: Group): Lines {
  const results = ofGroup(report, group);
  if (results.length === 0) return ['Not measured in this run.'];
  const alike = settingsOfAll(results);
  const details = (result: Result): string => {
    const { note = '' } = result;
    return [settingsText(result, [...alike, 'payloadBytes']), note].filter((text) => text !== '').join('; ');
  };
  const name = ({ id }: Result): string => `\`${id.slice(group.length + 1)}\``;
  const distributions = results.flatMap((result) => {
    const { distribution, unit } = result;
    if (distribution === undefined) return [];
    const { p50, p99, p999, max, n } = distribution;
    const figures = [p50, p99, p999, max].map((sample) => figureText(sample, unit));
    return [[name(result), ...figures, countText(n), details(result)]];
  });
  const values = results
    .filter(({ distribution }) => distribution === undefined)
    .map((result) => [name(result), unitText(result), details(result)]);
  const [first] = results;
  const parts = [
    distributions.length === 0
      ? []
      : figureTable(['what', 'p50', 'p99', 'p99.9', 'max', 'n', 'settings'], distributions),
    values.length === 0 ? [] : figureTable(['what', 'figure', 'settings'], values),
    alike.length === 0 || first === undefined ? [] : [`All of these: ${settingsText(first, without(first, alike))}.`],
  ];
  return parts.filter((part) => part.length > 0).flatMap((part, index) => (index === 0 ? part : ['', ...part]));
}

/** Names of settings that every result has, with one value; of a single result none, so that its row says them. */
function settingsOfAll(results: readonly Result[]): readonly string[] {
  const [first, ...others] = results;
  if (first === undefined || others.length === 0) return [];
  return Object.keys(first.settings).filter((name) =>
    others.every(({ settings }) => settings[name] === first.settings[name]),
  );
}

const without = ({ settings }: Result, names: readonly string[]): readonly string[] =>
  Object.keys(settings).filter((name) => !names.includes(name));

/** Words in the first column and in the last one. */
function figureTable(head: readonly string[], rows: readonly (readonly string[])[]): Lines {
  const [first = '', , ...rest] = table(head, 1, rows);
  const rule = head.map((_, column) => (column === 0 || column === head.length - 1 ? '---' : '--:'));
  return [first, `| ${rule.join(' | ')} |`, ...rest];
}

function unitText(result: Result): string {
  const counted = result.unit === 'frames/s' ? ' frames/s' : result.unit === 'calls/s' ? ' calls/s' : '';
  const text = figureText(mainFigure(result), result.unit);
  return counted === ''
    ? text
    : `${text.replace(/ ?([kMG]?)\/s$/, (_, prefix: string) => (prefix === '' ? '' : ` ${prefix}`))}${counted}`;
}

export function machineLine({ machine, startedAt, rounds, tookSeconds, quick }: Report): string {
  const { cpuModel, cpuCount, memoryBytes, kernel, node, cores } = machine;
  const pinned = cores === null ? 'not pinned' : `the two sides pinned to cores ${cores[0]} and ${cores[1]}`;
  const memory = `${Math.round(memoryBytes / 2 ** 30)} GiB`;
  const warning = quick ? ' **A quick run: its figures mean little.**' : '';
  return `${cpuModel}, ${cpuCount} cores (${pinned}), ${memory}, Linux ${kernel}, Node ${node}; ${startedAt.slice(0, 10)}, ${rounds} interleaved rounds after one that is not counted, ${tookSeconds.toFixed(0)} s.${warning}`;
}
