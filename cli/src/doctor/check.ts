/** What one check of `leasehold doctor` says. The JSON shape is a contract: names stay, and there may be more of them. */

export const Verdicts = ['ok', 'warn', 'fail'] as const;
/** `warn`: something is less than it could be. `fail`: nobody can work like that. */
export type Verdict = (typeof Verdicts)[number];

export interface Check {
  readonly name: string;
  readonly verdict: Verdict;
  /** What was found, with its figures. */
  readonly found: string;
  /** What mends or improves it: a command where there is one. Null when nothing has to be. */
  readonly mend: string | null;
}

export const ok = (name: string, found: string): Check => ({ name, verdict: 'ok', found, mend: null });
export const warn = (name: string, found: string, mend: string): Check => ({ name, verdict: 'warn', found, mend });
export const fail = (name: string, found: string, mend: string): Check => ({ name, verdict: 'fail', found, mend });

/** The worst of them. */
export function overall(checks: readonly Check[]): Verdict {
  return Verdicts.findLast((verdict) => checks.some((check) => check.verdict === verdict)) ?? 'ok';
}
