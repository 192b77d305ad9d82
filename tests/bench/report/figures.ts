/** The figures that sentences name: `p50 ID`, `p99 ID`, `value ID`, `ratio ID ID` (of p50s, or values). */
import type { Report } from 'leasehold/bench';
import { figureOf, find, ratioOf } from './lookup.ts';
import { figureText, threeDigits } from './text.ts';

/** @returns the figure as text. @throws Error when it says something else, or the run does not have it. */
export function figureNamed(report: Report, what: string): string {
  const [kind, id = '', other = ''] = what.split(' ');
  const text = kind === 'ratio' ? ratioText(report, id, other) : singleText(report, kind, id);
  if (text !== null) return text;
  throw new Error(
    `"${what}" is no figure of this run: write p50, p99 or value and an id of the report, or ratio and two`,
  );
}

function ratioText(report: Report, of: string, against: string): string | null {
  const ratio = ratioOf(report, of, against);
  return ratio === null ? null : threeDigits(ratio);
}

function singleText(report: Report, kind: string | undefined, id: string): string | null {
  const result = find(report, id);
  if (result === null) return null;
  if (kind === 'p99' && result.distribution !== undefined) return figureText(result.distribution.p99, result.unit);
  const wanted = result.distribution === undefined ? 'value' : 'p50';
  return kind === wanted ? figureText(figureOf(report, id) ?? Number.NaN, result.unit) : null;
}
