import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Report } from 'leasehold/bench';
import { describe, expect, it } from 'vitest';
import { command } from '../../support/processes.ts';
import { renderDocuments, SAVED_RUN, staleDocuments, writeDocuments } from './documents.ts';
import { figureNamed } from './figures.ts';
import { GOALS, goalsTable, outcomesOf } from './goals.ts';
import { SAMPLE_RUN } from './testing/sample-run.ts';

const ROOT = new URL('../../../', import.meta.url);
const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));
const readDocument = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');

/** The sample with the figure of one result changed. */
const withFigure = (id: string, figure: number): Report => ({
  ...SAMPLE_RUN,
  results: SAMPLE_RUN.results.map((result) => {
    if (result.id !== id) return result;
    const { distribution } = result;
    if (distribution === undefined) return { ...result, value: figure };
    return { ...result, distribution: { ...distribution, p50: figure } };
  }),
});
const without = (id: string): Report => ({
  ...SAMPLE_RUN,
  results: SAMPLE_RUN.results.filter((result) => result.id !== id),
});

describe('the documents of a run', () => {
  const documents = renderDocuments(SAMPLE_RUN, readDocument);
  const text = (path: string): string => documents.get(path) ?? '';

  it('are the run itself, the charts in both themes, README.md and docs/PERFORMANCE.md', () => {
    expect([...documents.keys()]).toEqual([
      SAVED_RUN,
      ...['latency-by-peer', 'latency-by-payload', 'throughput', 'fan-out'].flatMap((chart) =>
        ['light', 'dark'].map((theme) => `docs/performance/${chart}.${theme}.svg`),
      ),
      'README.md',
      'docs/PERFORMANCE.md',
    ]);
    expect(JSON.parse(text(SAVED_RUN))).toEqual(SAMPLE_RUN);
  });

  it('show every figure of the run on the page', () => {
    for (const { id, group } of SAMPLE_RUN.results) {
      if (group !== 'hand-off') expect(text('docs/PERFORMANCE.md')).toContain(`\`${id.slice(group.length + 1)}\``);
    }
    const rows = text('docs/PERFORMANCE.md')
      .match(/^\| .*×? \|$/gm)
      ?.filter((row) => row.split('|').length === 11);
    const handOffs = SAMPLE_RUN.results.filter(({ group }) => group === 'hand-off');
    expect(rows).toHaveLength(handOffs.length + 2);
  });

  it('put the pictures where the page and the README find them', () => {
    for (const page of ['README.md', 'docs/PERFORMANCE.md']) {
      const pictures = [...text(page).matchAll(/(?:srcset|src)="([^"]*performance\/[^"]*)"/g)];
      expect(pictures.length).toBeGreaterThan(0);
      for (const [, path = ''] of pictures) {
        const fromRoot = page === 'README.md' ? path : `docs/${path}`;
        expect(documents.has(fromRoot), `${page}: ${path}`).toBe(true);
      }
    }
  });

  it('are current as long as nobody touches them, and stale once a byte, a table or a figure in a sentence differs', () => {
    const read = (path: string): string => documents.get(path) ?? '';
    expect(staleDocuments(SAMPLE_RUN, read)).toEqual([]);
    const generated = [...documents.keys()].filter((path) => !path.endsWith('.md'));
    const touched = (path: string): string => (path.endsWith('.md') ? read(path) : `${read(path)} `);
    expect(staleDocuments(SAMPLE_RUN, touched)).toEqual(generated);
    const figure = (asked: string): string => read(asked).replaceAll('| 0.338 |', '| 0.237 |');
    expect(staleDocuments(SAMPLE_RUN, figure)).toEqual(['README.md', 'docs/PERFORMANCE.md']);
    const sentence = (asked: string): string => read(asked).replace('-->155 ns<!-- / -->', '-->99 ns<!-- / -->');
    expect(staleDocuments(SAMPLE_RUN, sentence)).toEqual(['docs/PERFORMANCE.md']);
    const missing = (asked: string): string => {
      if (asked.endsWith('throughput.dark.svg')) throw new Error('ENOENT');
      return read(asked);
    };
    expect(staleDocuments(SAMPLE_RUN, missing)).toEqual(['docs/performance/throughput.dark.svg']);
  });

  it('are empty before the first run, and stale when the run is not there that they show', () => {
    const emptied = (path: string): string =>
      readDocument(path).replace(/(<!-- (bench-[\w-]+):begin -->\n)[\s\S]*?(<!-- \2:end -->)/g, '$1$3');
    expect(staleDocuments(null, emptied)).toEqual([]);
    expect(staleDocuments(null, (path) => documents.get(path) ?? '')).toEqual(['docs/PERFORMANCE.md']);
  });

  it('are not made of a quick run, nor of one that lacks what a sentence names', () => {
    expect(() => writeDocuments({ ...SAMPLE_RUN, quick: true })).toThrow('leave --quick out');
    const lacking = without('hand-off/iceoryx/spin/4096');
    expect(() => renderDocuments(lacking, readDocument)).toThrow('"p50 hand-off/iceoryx/spin/4096" is no figure');
  });
});

describe('goals', () => {
  it('are all measured by a whole run', () => {
    expect(outcomesOf(SAMPLE_RUN).map(({ goal, verdict }) => [goal.id, verdict])).toEqual(
      GOALS.map(({ id }) => [id, 'met']),
    );
  });

  it('are missed by figures beyond their limit, in either direction', () => {
    const verdicts = (report: Report) =>
      outcomesOf(report).flatMap(({ goal, verdict }) => (verdict === 'missed' ? [goal.id] : []));
    expect(verdicts(withFigure('hand-off/leasehold/spin/persistent/33177600', 400))).toEqual(['large']);
    expect(verdicts(withFigure('hand-off/grpc/event-loop/8294400', 3_000_000))).toEqual(['grpc-large']);
    const slow = withFigure('throughput/leasehold/persistent/64', 3.9e6);
    expect(verdicts(slow)).toEqual(['rate']);
    expect(goalsTable(slow).find((row) => row.includes('frames of 64 B'))).toContain(
      '| ≥ 4 M/s | 3.90 M/s | **missed** |',
    );
  });

  it('are neither met nor missed without their figures', () => {
    const outcomes = outcomesOf(without('hand-off/iceoryx/spin/4096'));
    expect(outcomes.find(({ goal }) => goal.id === 'against-iceoryx')).toMatchObject({
      measured: null,
      verdict: 'not measured',
    });
  });

  it('each have a place on the page for what shows why', () => {
    const places = [...readDocument('docs/PERFORMANCE.md').matchAll(/<!-- profile ([\w-]+) -->/g)].map(([, id]) => id);
    expect(places.sort()).toEqual(GOALS.map(({ id }) => id).sort());
  });
});

describe('a figure that a sentence names', () => {
  it('is a p50, a p99, a value, or a ratio of two', () => {
    const id = 'hand-off/atomics/spin/8';
    expect(figureNamed(SAMPLE_RUN, `p50 ${id}`)).toBe('155 ns');
    expect(figureNamed(SAMPLE_RUN, `p99 ${id}`)).toBe('465 ns');
    expect(figureNamed(SAMPLE_RUN, 'value throughput/leasehold/persistent/64')).toBe('5.02 M/s');
    expect(figureNamed(SAMPLE_RUN, `ratio hand-off/leasehold/spin/persistent/4096 ${id}`)).toBe('2.18');
  });

  it.each(['p50', 'p50 nobody/8', 'value hand-off/atomics/spin/8', 'p95 hand-off/atomics/spin/8', 'ratio a b'])(
    'is refused as %s',
    (what) => {
      expect(() => figureNamed(SAMPLE_RUN, what)).toThrow(`"${what}" is no figure of this run`);
    },
  );
});

describe('main.ts', () => {
  it.each([[[]], [['--check', 'run.json']], [['a.json', 'b.json']], [['--fast']], [['/nowhere/run.json']]])(
    'refuses %j with exit code 2',
    async (args) => {
      const { code, stderr } = await command(process.execPath, [MAIN, ...args]).ended;
      expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(/^bench report: /) });
    },
  );
});
