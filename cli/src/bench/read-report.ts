/**
 * A report that an earlier run wrote, read back. Invariant: what is returned has the shape of a report of this format, as far as tables,
 * charts and comparisons look; anything else is refused with words, as wrong usage.
 */
import { readFileSync } from 'node:fs';
import { UsageError } from '../program/errors.ts';
import { GROUPS, REPORT_FORMAT, type Report } from './report-model.ts';

/** @throws UsageError when the file cannot be read, or `parseReport` refuses it. */
export function readReport(path: string): Report {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new UsageError(`${path} cannot be read: ${messageOf(cause)}`, { cause });
  }
  return parseReport(text, path);
}

/** @param name what errors call it @throws UsageError when it is not a report of this format. */
export function parseReport(text: string, name: string): Report {
  let report: unknown;
  try {
    report = JSON.parse(text);
  } catch (cause) {
    throw new UsageError(`${name} is not JSON: ${messageOf(cause)}; give a file that \`--json\` wrote`, { cause });
  }
  const format = isRecord(report) ? report.format : undefined;
  if (format !== REPORT_FORMAT) {
    throw new UsageError(
      `${name} has format ${JSON.stringify(format) ?? 'none'}, not ${REPORT_FORMAT}: measure anew with \`--json\``,
    );
  }
  const wrong = wrongIn(report);
  if (wrong !== null) throw new UsageError(`${name} is not a report: ${wrong}; give a file that \`--json\` wrote`);
  return report as Report;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === 'string';
const isFigure: Check = (value) => typeof value === 'number' && Number.isFinite(value);

const OF_REPORT: Readonly<Record<string, Check>> = {
  machine: isRecord,
  startedAt: isText,
  tookSeconds: isFigure,
  quick: (value) => typeof value === 'boolean',
  rounds: isFigure,
  results: Array.isArray,
};
const OF_MACHINE: Readonly<Record<string, Check>> = {
  cpuModel: isText,
  cpuCount: isFigure,
  memoryBytes: isFigure,
  kernel: isText,
  node: isText,
  cores: (value) => value === null || (Array.isArray(value) && value.length === 2 && value.every(isFigure)),
};
const OF_RESULT: Readonly<Record<string, Check>> = {
  id: isText,
  group: (value) => GROUPS.some((group) => group === value),
  who: isText,
  settings: isRecord,
  unit: isText,
};
const OF_DISTRIBUTION: Readonly<Record<string, Check>> = {
  n: isFigure,
  p50: isFigure,
  p99: isFigure,
  p999: isFigure,
  max: isFigure,
};

/** What is wrong, for people; null: nothing. */
function wrongIn(report: unknown): string | null {
  const wrong = wrongField(report, OF_REPORT, 'it');
  if (wrong !== null || !isRecord(report) || !Array.isArray(report.results)) return wrong;
  const seen = new Set<unknown>();
  for (const [index, result] of report.results.entries()) {
    const wrongResult = wrongInResult(result, `result ${index}`);
    if (wrongResult !== null) return wrongResult;
    const { id } = result;
    if (seen.has(id)) return `two results are called ${JSON.stringify(id)}`;
    seen.add(id);
  }
  return wrongField(report.machine, OF_MACHINE, 'its machine');
}

function wrongInResult(result: unknown, name: string): string | null {
  const wrong = wrongField(result, OF_RESULT, name);
  if (wrong !== null || !isRecord(result)) return wrong;
  const { id, value, distribution } = result;
  const named = `${name}, ${JSON.stringify(id)},`;
  if (distribution !== undefined) return wrongField(distribution, OF_DISTRIBUTION, `the distribution of ${named}`);
  return isFigure(value) ? null : `${named} has neither a value nor a distribution`;
}

function wrongField(value: unknown, checks: Readonly<Record<string, Check>>, name: string): string | null {
  if (!isRecord(value)) return `${name} is no object`;
  const field = Object.entries(checks).find(([key, check]) => !check(value[key]))?.[0];
  return field === undefined
    ? null
    : `${name} has ${JSON.stringify(value[field]) ?? 'nothing'} as ${JSON.stringify(field)}`;
}
