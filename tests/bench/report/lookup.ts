/** Figures of a report, by id. What a report does not have is null, for a run may have measured a few groups only. */
import type { Report, Result } from 'leasehold/bench';
import { mainFigure } from './text.ts';

export function find({ results }: Report, id: string): Result | null {
  return results.find((result) => result.id === id) ?? null;
}

/** p50, or the value. */
export function figureOf(report: Report, id: string): number | null {
  const result = find(report, id);
  return result === null ? null : mainFigure(result);
}

/** The figure of `of` as a multiple of that of `against`. */
export function ratioOf(report: Report, of: string, against: string): number | null {
  const [upper, lower] = [figureOf(report, of), figureOf(report, against)];
  return upper === null || lower === null || lower === 0 ? null : upper / lower;
}
