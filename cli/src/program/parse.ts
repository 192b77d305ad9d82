/** Values as people type them. Each parser names in its error what would have been right. */
import { isIP } from 'node:net';
import { UsageError } from './errors.ts';

/** A parser whose error says which option or argument was wrong. */
export function naming<T>(what: string, parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      throw new UsageError(`${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  };
}

/** A whole number in a range. */
export function parseInteger(text: string, min: number, max: number): number {
  const value = /^-?[0-9]+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(`${JSON.stringify(text)} is not a whole number from ${min} to ${max}`);
}

const UNIT_BYTES: Record<string, number> = { '': 1, B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };

const U64_MAX = 2n ** 64n - 1n;

/** The hold id of a lease, as `leasehold leases` shows it. */
export function parseHoldId(text: string): bigint {
  const value = /^[0-9]{1,20}$/.test(text) ? BigInt(text) : 0n;
  if (value > 0n && value <= U64_MAX) return value;
  throw new UsageError(`${JSON.stringify(text)} is not the hold id of a lease: \`leasehold leases\` shows them`);
}

/** A size such as `4096`, `512MiB` or `1.5GiB`, in bytes. */
export function parseSize(text: string): number {
  const [, digits, unit] = /^([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]*)$/.exec(text) ?? [];
  const factor = UNIT_BYTES[unit ?? ''];
  const bytes = factor === undefined ? Number.NaN : Number(digits) * factor;
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new UsageError(`${JSON.stringify(text)} is not a size: give bytes, or a number with KiB, MiB, GiB or TiB`);
}

/** A size, or 0 for none. */
export function parseAmount(text: string): number {
  return text === '0' ? 0 : parseSize(text);
}

/** `HOST:PORT`, `[IPv6]:PORT`, or `off`. */
export function parseHttp(text: string): 'off' | { host: string; port: number } {
  if (text === 'off') return 'off';
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]\s/]+)):([0-9]{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (host !== undefined && port <= 65_535 && (bracketed === undefined || isIP(bracketed) === 6)) return { host, port };
  throw new UsageError(`${JSON.stringify(text)} is not HOST:PORT, [IPv6]:PORT or off`);
}

/** A switch in the environment. */
export function parseSwitch(text: string): boolean {
  if (text === '1' || text === 'true') return true;
  if (text === '0' || text === 'false') return false;
  throw new UsageError(`${JSON.stringify(text)} is not 1, 0, true or false`);
}

/** One of a few words. */
export function parseChoice<T extends string>(text: string, choices: readonly T[]): T {
  const choice = choices.find((candidate) => candidate === text);
  if (choice !== undefined) return choice;
  throw new UsageError(`${JSON.stringify(text)} is not one of ${choices.join(', ')}`);
}
