/**
 * The rule for names of mappings and channels: 1 to 200 characters of [A-Za-z0-9._-] in segments joined by '/', with no
 * empty, '.' or '..' segment. Broker and SDK both ask here, so that they cannot disagree.
 */
import { LeaseholdError } from './leasehold-error.ts';

export const NAME_CHARACTERS_MAX = 200;

const FORBIDDEN_CHARACTER = /[^A-Za-z0-9._/-]/u;

/**
 * Accepts a name or says what is wrong with it.
 *
 * @throws {LeaseholdError} INVALID_NAME
 */
export function checkName(name: string): void {
  const isString = typeof name === 'string';
  const fault = isString ? findFault(name) : `it is not a string but ${typeof name}`;
  if (fault === undefined) return;
  const shown = isString ? name.slice(0, NAME_CHARACTERS_MAX).toWellFormed() : typeof name;
  throw new LeaseholdError(
    'INVALID_NAME',
    `${JSON.stringify(shown)} is no valid name: ${fault}. Names are 1 to ${NAME_CHARACTERS_MAX} characters of ` +
      "A-Z a-z 0-9 . _ - in segments joined by '/', with no empty, '.' or '..' segment.",
    { metadata: { name: shown } },
  );
}

function findFault(name: string): string | undefined {
  if (name === '') return 'it is empty';
  if (name.length > NAME_CHARACTERS_MAX) return `it has ${name.length} characters`;
  const forbidden = FORBIDDEN_CHARACTER.exec(name);
  if (forbidden !== null) {
    const codePoint = forbidden[0].codePointAt(0) ?? 0;
    return `character ${forbidden.index + 1} is U+${codePoint.toString(16).toUpperCase().padStart(4, '0')}`;
  }
  for (const segment of name.split('/')) {
    if (segment === '') return "a segment is empty: it starts or ends with '/', or has '//'";
    if (segment === '.' || segment === '..') return `a segment is '${segment}'`;
  }
  return undefined;
}
