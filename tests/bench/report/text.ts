/** Figures as people read them: three digits that count, with their unit where no column names it. */
import type { Result, Unit } from 'leasehold/bench';

/** 0.338, 1.23, 64.7, 1,731. */
export function threeDigits(value: number): string {
  const digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : value >= 0.9995 ? 2 : 3;
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Without the unit. */
export const microseconds = (ns: number): string => threeDigits(ns / 1_000);

/** As they are spoken of: 8 B, 4 KiB, 8.3 MB, 33 MB. */
export function bytesText(bytes: number): string {
  if (bytes < 1_024) return `${Math.round(bytes)} B`;
  for (const [power, unit] of ['KiB', 'MiB', 'GiB'].entries()) {
    const count = bytes / 1_024 ** (power + 1);
    if (Number.isInteger(count) && count < 1_024) return `${count} ${unit}`;
  }
  return scaled(bytes, 'B', 2);
}

/** 338 ns, 1.23 µs, 25.0 ms, 2.00 s. */
export function durationText(ns: number): string {
  const [factor, unit] = ns < 999.5 ? [1, 'ns'] : ns < 999.5e3 ? [1e3, 'µs'] : ns < 999.5e6 ? [1e6, 'ms'] : [1e9, 's'];
  return `${precise(Number(ns) / Number(factor), 3)} ${unit}`;
}

/** With its unit. */
export function figureText(value: number, unit: Unit): string {
  if (unit === 'ns') return durationText(value);
  if (unit === '%') return `${precise(value, 2)} %`;
  // Whoever reads the figure knows what is counted.
  return scaled(value, unit === 'frames/s' || unit === 'calls/s' ? '/s' : unit, 3);
}

export const countText = (count: number): string => count.toLocaleString('en-US');

/** p50 where there is a distribution. */
export const mainFigure = ({ distribution, value }: Result): number => distribution?.p50 ?? value ?? Number.NaN;

const SCALES = [
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const;

function scaled(value: number, unit: string, digits: number): string {
  const [factor, prefix] = SCALES.find(([least]) => value >= least) ?? [1, ''];
  return `${precise(value / factor, digits)} ${prefix}${unit}`;
}

/** Never in powers of ten, however large. */
function precise(value: number, digits: number): string {
  if (value === 0) return '0';
  return value.toLocaleString('en-US', {
    minimumSignificantDigits: value >= 10 ** digits ? 1 : digits,
    maximumSignificantDigits: Math.max(digits, Math.ceil(Math.log10(value))),
  });
}
